"""Write the goldens: what zipline-reloaded makes of the strategies. Run it in its own environment: `make oracle`.

    python -m pip install --require-hashes -r tests/oracle/requirements.txt
    python tests/oracle/generate.py

It reads only this folder, and the sample bars from bokeh-sampledata.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# Zipline reads its root at import, and must not touch the user's.
_ROOT = tempfile.TemporaryDirectory(prefix="oracle-")
os.environ["ZIPLINE_ROOT"] = _ROOT.name

import datasets  # noqa: E402
import load_exported  # noqa: E402
import pandas as pd  # noqa: E402
import zipline_bundle  # noqa: E402
from scenarios import GOLDENS, SCENARIOS, Scenario, benchmark, held, moment, run_dates  # noqa: E402
from zipline import run_algorithm  # noqa: E402
from zipline.data.bundles import ingest, register  # noqa: E402
from zipline.utils.calendar_utils import get_calendar  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

CALENDAR = get_calendar("XNYS")


def load(name: str) -> datasets.Dataset:
    return datasets.load(name, [s.date() for s in CALENDAR.sessions_in_range("2016-01-04", "2017-12-29")])


def register_bundle(dataset: datasets.Dataset) -> None:
    """Ingest the bars, splits and dividends as Zipline's own csvdir bundle would."""
    sids = {symbol: sid for sid, symbol in enumerate(dataset.symbols)}
    daily_bars = dataset.daily

    def bars() -> Iterator[tuple[int, pd.DataFrame]]:
        for symbol, sid in sids.items():
            frame = daily_bars[daily_bars["symbol"] == symbol].set_index("date")[list(datasets.FIELDS)]
            sessions = CALENDAR.sessions_in_range(frame.index[0], frame.index[-1])
            # Zipline's daily bars have no gaps: a session without a bar is a row of zeros, read back as NaN.
            yield sid, frame.reindex(sessions).fillna(0)

    def minute_bars() -> Iterator[tuple[int, pd.DataFrame]]:
        for symbol, sid in sids.items():
            frame = dataset.bars[dataset.bars["symbol"] == symbol].set_index("date")[list(datasets.FIELDS)]
            # Zipline names a minute by its end.
            frame.index = (frame.index + pd.Timedelta(minutes=1)).tz_localize("UTC")
            yield sid, frame

    def build(*arguments: Any) -> None:
        assets, minutely, daily, adjustments = arguments[1:5]
        groups = daily_bars.groupby("symbol")["date"]
        assets.write(
            equities=pd.DataFrame(
                {
                    "symbol": dataset.symbols,
                    "start_date": [groups.get_group(s).min() for s in dataset.symbols],
                    "end_date": [groups.get_group(s).max() for s in dataset.symbols],
                    "auto_close_date": [groups.get_group(s).max() + pd.Timedelta(days=1) for s in dataset.symbols],
                    "exchange": "NYSE",
                }
            )
        )
        if dataset.frequency == "1m":
            minutely.write(minute_bars())
        daily.write(bars())
        adjustments.write(
            splits=pd.DataFrame(
                [
                    {"sid": sids[symbol], "effective_date": pd.Timestamp(ex), "ratio": old / new}
                    for symbol, ex, new, old in dataset.splits
                ]
            ),
            dividends=pd.DataFrame(
                [
                    {
                        "sid": sids[symbol],
                        "ex_date": pd.Timestamp(ex),
                        "record_date": pd.Timestamp(ex),
                        "declared_date": pd.Timestamp(ex),
                        "pay_date": pd.Timestamp(pay),
                        "amount": float(amount),
                    }
                    for symbol, ex, pay, amount in dataset.dividends
                ]
            ),
        )

    first, last = daily_bars["date"].min(), daily_bars["date"].max()
    register(dataset.name, build, calendar_name="XNYS", start_session=first, end_session=last)
    ingest(dataset.name)


def run(scenario: Scenario, dataset: datasets.Dataset) -> pd.DataFrame:
    text = scenario.script.read_text(encoding="utf-8").replace("rustybt.api", "zipline.api")
    space: dict[str, Any] = {"__name__": "strategy"}
    exec(compile(text, str(scenario.script), "exec"), space)
    first, last = run_dates(scenario, dataset.bars)
    return run_algorithm(
        start=first,
        end=last,
        initialize=space["initialize"],
        handle_data=space.get("handle_data"),
        before_trading_start=space.get("before_trading_start"),
        data_frequency=scenario.data_frequency,
        capital_base=scenario.capital,
        bundle=dataset.name,
        benchmark_returns=benchmark(CALENDAR.sessions_in_range(first, last)),
    )


def write(scenario: Scenario, perf: pd.DataFrame, folder: Path) -> None:
    labels = [str(label.date()) for label in perf.index]
    daily = perf[[*scenario.columns, *scenario.recorded, *scenario.texts, *scenario.histories]].copy()
    daily.insert(0, "session", labels)
    daily["positions"] = [held(cell, with_prices=scenario.dataset != "demo") for cell in perf["positions"]]
    daily.to_csv(folder / f"{scenario.name}.daily.csv", index=False)
    fills = pd.DataFrame(
        [
            (label, fill["sid"].symbol, fill["amount"], fill["price"], moment(scenario, fill["dt"]))
            for label, cell in zip(labels, perf["transactions"], strict=True)
            for fill in cell
        ],
        columns=["session", "symbol", "amount", "price", "dt"],
    )
    if scenario.data_frequency == "daily":
        del fills["dt"]  # the close of the session
    fills.to_csv(folder / f"{scenario.name}.transactions.csv", index=False)
    orders = [
        (
            label,
            order["sid"].symbol,
            moment(scenario, order["created"]),
            order["amount"],
            order["filled"],
            order["commission"],
            order["stop"],
            order["limit"],
            int(order["status"]),
        )
        for label, cell in zip(labels, perf["orders"], strict=True)
        for order in cell
    ]
    names = ["session", "symbol", "created", "amount", "filled", "commission", "stop", "limit", "status"]
    pd.DataFrame(orders, columns=names).to_csv(folder / f"{scenario.name}.orders.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=GOLDENS)
    parser.add_argument("names", nargs="*", help="scenarios; by default all")
    arguments = parser.parse_args()
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [scenario for scenario in SCENARIOS if not arguments.names or scenario.name in arguments.names]
    loaded = {name: load(name) for name in {scenario.dataset for scenario in chosen}}
    for dataset in loaded.values():
        register_bundle(dataset)
    for scenario in chosen:
        perf = run(scenario, loaded[scenario.dataset])
        write(scenario, perf, folder)
        fills = sum(len(cell) for cell in perf["transactions"])
        sys.stdout.write(f"{scenario.name}: {len(perf)} sessions, {fills} transactions\n")
    if not arguments.names:
        zipline_bundle.write(folder)
        load_exported.write(folder)


if __name__ == "__main__":
    main()
