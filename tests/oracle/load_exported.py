"""Load a bundle below a ZIPLINE_ROOT with zipline-reloaded, run the strategies on it, and print what came of them as JSON.

    python tests/oracle/load_exported.py ROOT NAME

runs in the oracle's environment. Zipline knows of the bundle by ROOT/extension.py, if there is one. `make oracle` writes
what it says of the bundle in `zipline_bundle.py`; RustyBT is held against that on what it imports of the bundle, and
Zipline itself on what RustyBT exports of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "goldens" / "zipline_backtests.json"
#: Columns of `perf`.
NUMBERS = ("portfolio_value", "ending_cash", "pnl", "returns", "long_value", "short_value", "gross_leverage")


@dataclass(frozen=True)
class Backtest:
    """A strategy of `strategies/` on the bundle; `numbers` and `texts` are what it records."""

    name: str
    start: str
    end: str
    data_frequency: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    capital: float = 1_000_000.0

    @property
    def script(self) -> Path:
        return HERE / "strategies" / f"{self.name}.py"


BACKTESTS = (
    # Before the first dividend in shares, over which RustyBT adjusts prices and Zipline does not.
    Backtest("exported_days", "2016-01-04", "2017-05-05", "daily", ("leverage",), ("now", "seen")),
    Backtest("exported_minutes", "2016-11-23", "2016-11-28", "minute", ("minutes",), ("seen",)),
)


def described(backtest: Backtest, perf) -> dict:
    """Return what is compared, plain JSON."""
    labels = [str(label.date()) for label in perf.index]
    return {
        "sessions": labels,
        **{name: [None if value != value else float(value) for value in perf[name]] for name in NUMBERS},
        **{name: [float(value) for value in perf[name]] for name in backtest.numbers},
        **{name: list(perf[name]) for name in backtest.texts},
        "positions": [
            sorted([p["sid"].symbol, float(p["amount"]), float(p["cost_basis"])] for p in cell)
            for cell in perf["positions"]
        ],
        "transactions": [
            [label, fill["sid"].symbol, int(fill["amount"]), float(fill["price"])]
            for label, cell in zip(labels, perf["transactions"], strict=True)
            for fill in cell
        ],
    }


def write(folder: Path) -> None:
    """Run this file on the packed bundle, in a process of its own: Zipline reads its root at import."""
    import zipline_bundle

    with tempfile.TemporaryDirectory(prefix="exported-") as into:
        root = zipline_bundle.unpack(Path(into))
        said = subprocess.run(
            [sys.executable, __file__, str(root), zipline_bundle.NAME], check=True, stdout=subprocess.PIPE
        ).stdout
    (folder / GOLDEN.name).write_bytes(said)
    sys.stdout.write(f"zipline_backtests: {', '.join(backtest.name for backtest in BACKTESTS)}\n")


def main() -> None:
    root, name = Path(sys.argv[1]), sys.argv[2]
    # Zipline reads its root at import.
    os.environ["ZIPLINE_ROOT"] = str(root)
    import pandas as pd
    from zipline import run_algorithm
    from zipline.data.bundles import bundles, register
    from zipline.utils.run_algo import load_extensions

    load_extensions(default=True, extensions=(), strict=True, environ=os.environ)
    if name not in bundles:
        register(name, lambda *_: None, calendar_name="XNYS")
    said = {}
    for backtest in BACKTESTS:
        space: dict = {"__name__": "strategy"}
        text = backtest.script.read_text(encoding="utf-8").replace("rustybt.api", "zipline.api")
        exec(compile(text, str(backtest.script), "exec"), space)
        first, last = pd.Timestamp(backtest.start), pd.Timestamp(backtest.end)
        perf = run_algorithm(
            start=first,
            end=last,
            initialize=space["initialize"],
            handle_data=space["handle_data"],
            before_trading_start=space.get("before_trading_start"),
            data_frequency=backtest.data_frequency,
            capital_base=backtest.capital,
            bundle=name,
            benchmark_returns=pd.Series(0.0, index=pd.date_range(first, last)),
        )
        said[backtest.name] = described(backtest, perf)
    parts = [f"{json.dumps(name)}: {{\n{_lines(found)}\n}}" for name, found in said.items()]
    sys.stdout.write("{" + ",\n".join(parts) + "}\n")


def _lines(found: dict) -> str:
    """Return one line a column: a change is seen where it is."""
    return ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())


if __name__ == "__main__":
    main()
