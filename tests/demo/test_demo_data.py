"""The demo's bars and files."""

import ast
import csv
from decimal import Decimal

import pytest

from rustybt.demo import SampleBars, generated_bars, sample_bars, write_correction, write_files


@pytest.fixture(params=["real", "generated"])
def sample(request):
    return sample_bars() if request.param == "real" else generated_bars()


def test_real_bars_are_the_packages_own_digits():
    found = sample_bars()
    assert found.is_real
    assert len(found.rows) == 3270 * 3 + 2148 + 196
    # The first line of the package's file and the first bar after Apple's split.
    assert found.rows[0] == ("AAPL", "2000-03-01", "118.56", "132.06", "118.5", "130.31", "9616100")
    assert ("AAPL", "2005-02-28", "2:1") in found.splits


def test_without_the_sample_package_the_bars_say_that_they_are_generated(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bokeh_sampledata.stocks", None)
    found = sample_bars()
    assert not found.is_real
    assert found.description.startswith("GENERATED")
    assert "rustybt[demo]" in found.description
    assert not {"AAPL", "MSFT", "IBM"} & set(found.symbols)


def test_generated_bars_are_the_same_every_time():
    assert generated_bars().rows == generated_bars().rows
    assert generated_bars().rows != generated_bars(seed=1).rows


def test_bars_are_possible(sample):
    seen = set()
    for symbol, day, *texts in sample.rows:
        opened, high, low, close, volume = map(Decimal, texts)
        assert low <= min(opened, close) <= max(opened, close) <= high
        assert low > 0
        assert volume >= 0
        seen.add((symbol, day))
    assert len(seen) == len(sample.rows)
    assert list(sample.rows) == sorted(sample.rows, key=lambda row: row[:2])


def test_every_split_is_visible_as_a_jump_in_the_prices(sample):
    closes = {(symbol, day): Decimal(close) for symbol, day, _, _, _, close, _ in sample.rows}
    for symbol, ex_date, ratio in sample.splits:
        days = sorted(day for other, day in closes if other == symbol)
        before = days[days.index(ex_date) - 1]
        new, old = map(int, ratio.split(":"))
        jump = closes[symbol, ex_date] / closes[symbol, before]
        assert float(jump) == pytest.approx(old / new, rel=0.2)


def test_the_files_hold_what_the_sample_says(sample, tmp_path):
    files = write_files(sample, tmp_path / "out")
    with files.bars.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["symbol", "date", "open", "high", "low", "close", "volume"]
    assert [tuple(row) for row in rows[1:]] == list(sample.rows)
    assert files.actions.read_text().splitlines()[0] == "symbol,kind,ex_date,ratio"
    assert len(files.actions.read_text().splitlines()) == len(sample.splits) + 1


def test_the_corrected_file_differs_in_one_close_and_nowhere_else(sample, tmp_path):
    files = write_files(sample, tmp_path)
    symbol, day, *_ = sample.rows[100]
    bar = write_correction(sample, tmp_path, symbol, day)
    before, after = files.bars.read_text().splitlines(), bar.path.read_text().splitlines()
    (differing,) = [(a.split(","), b.split(",")) for a, b in zip(before, after, strict=True) if a != b]
    assert differing[0][:5] + differing[0][6:] == differing[1][:5] + differing[1][6:]
    assert differing[0][:2] == [bar.symbol, bar.day] == [symbol, day]
    assert (differing[0][5], differing[1][5]) == (bar.before, bar.after)
    assert bar.before != bar.after


def test_a_close_that_was_the_low_becomes_the_high(tmp_path):
    row = ("A", "2024-01-02", "2", "3", "1", "1", "10")
    sample = SampleBars("one bar", is_real=True, symbols=("A",), rows=(row,), splits=())
    assert write_correction(sample, tmp_path, "A", "2024-01-02").after == "3"


def test_the_strategies_name_the_symbols_of_the_bars(sample, tmp_path):
    files = write_files(sample, tmp_path)
    for script in (files.strategy, files.buy_and_hold):
        tree = ast.parse(script.read_text())
        values = {t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets}
        assert ast.literal_eval(values["SYMBOLS"]) == sample.symbols
