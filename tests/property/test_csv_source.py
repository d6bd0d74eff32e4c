"""Whatever a CSV prints, in whatever order and layout, comes back: the same digits, the same dates, nothing lost."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustybt.data.sources import CSVDataSource

# Latin letters, digits and every mark of ASCII, the quote and the separators among them; no letter has a twin.
symbols = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=("C", "Z")), min_size=1, max_size=8
)
numbers = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10**12), places=8)
days = st.integers(0, 20_000).map(lambda n: date(1970, 1, 1) + timedelta(days=n))
bars = st.dictionaries(st.tuples(symbols, days), st.tuples(numbers, numbers), max_size=40, min_size=1)


def write(path, rows, mark, ending):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator=ending)
    writer.writerow(["symbol", "date", "open", "high", "low", "close", "volume"])
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bars=bars,
    order=st.randoms(use_true_random=False),
    mark=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_every_bar_comes_back_digit_for_digit(tmp_path, bars, order, mark, ending):
    rows = [
        (symbol, day.isoformat(), price, price, price, f"{price:.8e}" if index % 2 else price, volume)
        for index, ((symbol, day), (price, volume)) in enumerate(bars.items())
    ]
    exact = {
        (symbol, day): (Decimal(str(row[5])), volume)
        for row, ((symbol, day), (_, volume)) in zip(rows, bars.items(), strict=True)
    }
    rows = [(*row[:2], row[5], row[5], row[5], *row[5:]) for row in rows]
    order.shuffle(rows)
    path = tmp_path / "all.csv"
    write(path, rows, mark, ending)
    found = CSVDataSource(path, calendar="24/7").fetch_sync(None)
    assert {
        (row["symbol"], row["timestamp"].date()): (row["close"], row["volume"]) for row in found.iter_rows(named=True)
    } == exact
