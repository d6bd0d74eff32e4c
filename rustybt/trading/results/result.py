"""What a run returns."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError
from rustybt.trading.orders.order import OrderStatus
from rustybt.trading.results.perf import session_dates
from rustybt.trading.results.plain_values import without_folders
from rustybt.trading.results.risk import summary as risk_summary
from rustybt.trading.results.run_data import RunData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.market.pin import Pin
    from rustybt.market.provenance import Provenance
    from rustybt.trading.results.run_quality import RunQuality
    from rustybt.trading.results.traded_prices import TradedPrices
    from rustybt.trading.strategy import Script

ORDER_KEYS = (
    "id",
    "created",
    "dt",
    "sid",
    "amount",
    "filled",
    "commission",
    "stop",
    "limit",
    "stop_reached",
    "limit_reached",
    "status",
    "reason",
)
TRANSACTION_KEYS = ("dt", "sid", "amount", "price", "order_id")
POSITION_KEYS = ("sid", "amount", "cost_basis", "last_sale_price")


class Result:
    """Performance, fills and holdings of a run, with the pin of the data it was computed from.

    Parameters
    ----------
    perf
        The perf frame, or a function that builds it when it is first looked at.
    pin
        What was read; None for bars that are not of a bundle.
    parameters
        Arguments of the run as plain values.
    script
        The strategy; None when its text is not known, and the run cannot be replayed.
    script_unknown
        Why `script` is None.
    benchmark
        Return of the benchmark in each session; zeros without a benchmark.
    books
        The exact frame of the book, or a function that builds it.
    recorded_names
        Columns of `perf` that the strategy recorded.
    notes
        Sentences on what was done differently from what was asked.
    error
        Why the run stopped early; None when it is complete.
    on_save
        Called with the directory that the result was saved in, so that the store knows who depends on its data.
    data
        What is kept of the data: prices of what was traded, quality of what was read, provenance.
    """

    def __init__(
        self,
        perf: pd.DataFrame | Callable[[], pd.DataFrame],
        *,
        pin: Pin | None,
        parameters: Mapping[str, Any],
        script: Script | None,
        benchmark: Floats,
        books: pd.DataFrame | Callable[[], pd.DataFrame],
        recorded_names: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        error: str | None = None,
        script_unknown: str | None = None,
        on_save: Callable[[Path], None] | None = None,
        data: RunData | None = None,
    ) -> None:
        self._perf = perf
        self.pin = pin
        self.parameters = dict(parameters)
        self.script = script
        self.script_unknown = None if script_unknown is None else without_folders(script_unknown)
        self.benchmark = benchmark
        self._books = books
        self.recorded_names = recorded_names
        self.data = data or RunData()
        # A result is shared: it names files, not the folders of this machine.
        self.notes = tuple(dict.fromkeys(without_folders(note) for note in (*notes, *self.data.notes)))
        self.error = None if error is None else without_folders(error)
        self._on_save = on_save

    @property
    def is_complete(self) -> bool:
        """True when the run reached its end; False when it stopped at an error and holds the sessions before it."""
        return self.error is None

    @property
    def quality(self) -> RunQuality | None:
        """Which of the bars that the run read were flagged by the quality rules; None when no report tells of them."""
        return self.data.quality

    @property
    def prices(self) -> TradedPrices | None:
        """Session closes of the assets traded most, as they were at the time; None in results saved without them."""
        return self.data.prices

    @property
    def provenance(self) -> Provenance | None:
        """Where the bundle's bars came from; None for bars of no bundle, and where it is not known."""
        return self.data.provenance

    @cached_property
    def perf(self) -> pd.DataFrame:
        """One row a session, labelled by its close in UTC, with Zipline's columns."""
        return self._perf() if callable(self._perf) else self._perf

    @cached_property
    def books(self) -> pd.DataFrame:
        """The book at the end of each session as exact decimals: session, cash, positions_value, portfolio_value.

        Cash and positions add up to the portfolio value to the last digit, which floats cannot promise.
        """
        return self._books() if callable(self._books) else self._books

    def __getitem__(self, column: str) -> Any:
        return self.perf[column]

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """Fills in their order: session, dt, symbol, sid, amount, price, value (signed cash), order_id."""
        frame = self._flatten("transactions", TRANSACTION_KEYS)
        frame.insert(6, "value", frame["amount"] * frame["price"])
        return frame

    @cached_property
    def orders(self) -> pd.DataFrame:
        """All orders in the order of their placing, as they stood when they last changed."""
        frame = self._flatten("orders", ORDER_KEYS).drop_duplicates("id", keep="last")
        frame["status"] = [OrderStatus(s).name.lower() for s in frame["status"]]
        return frame.sort_values("id").reset_index(drop=True)

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Holdings at the end of each session: session, symbol, sid, amount, cost_basis, last_sale_price."""
        return self._flatten("positions", POSITION_KEYS)

    @property
    def recorded(self) -> pd.DataFrame:
        """Values that the strategy recorded, by session."""
        return self.perf[list(self.recorded_names)]

    @property
    def returns(self) -> pd.Series[float]:
        """Return of each session as a fraction."""
        found: pd.Series[float] = self.perf["returns"]
        return found

    def _flatten(self, cells: str, keys: tuple[str, ...]) -> pd.DataFrame:
        """Return the dicts of a cell column as rows; `sid` becomes the columns symbol and sid (an int)."""
        import pandas as pd

        rows = [
            (label, *(row[key] for key in keys))
            for label, cell in zip(self.perf["period_close"], self.perf[cells], strict=True)
            for row in cell
        ]
        frame = pd.DataFrame(rows, columns=["session", *keys])
        frame["session"] = session_dates(frame["session"])
        assets = list(frame["sid"])
        frame["sid"] = np.array([a.sid for a in assets], dtype=np.int64)
        frame.insert(list(frame.columns).index("sid"), "symbol", [a.symbol for a in assets])
        return frame

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run as plain values: rates as fractions, money in currency.

        Risk metrics are computed by `empyrical` from the sessions' returns; alpha, beta and benchmark_return only where a
        benchmark was given.
        """
        perf = self.perf
        found: dict[str, Any] = {
            "start": session_dates(perf.index[:1])[0] if len(perf) else None,
            "end": session_dates(perf.index[-1:])[0] if len(perf) else None,
            "sessions": len(perf),
            "starting_cash": float(self.parameters.get("capital_base", 0.0)),
            "ending_value": float(perf["portfolio_value"].iloc[-1]) if len(perf) else None,
        }
        if len(perf):
            has_benchmark = bool(np.any(self.benchmark))
            benchmark = self.benchmark[: len(perf)] if has_benchmark else None
            found |= risk_summary(perf["returns"].to_numpy(dtype=np.float64), benchmark)
        found |= {
            "transactions": sum(len(cell) for cell in perf["transactions"]),
            "orders": len(self.orders),
            "commissions": float(self.orders["commission"].sum()) if len(self.orders) else 0.0,
        }
        if self.error is not None:
            found["error"] = self.error
        return found

    def save(self, directory: str | Path) -> Path:
        """Write the result into `directory`, made if need be, and return its path; an earlier result there is replaced.

        Plain files: result.json (pin, parameters, figures, quality), perf.csv, transactions.csv, orders.csv, positions.csv,
        prices.csv and the script, so that `replay` can prove the result again.

        Warns
        -----
        UserWarning
            It was run on a bundle, but `replay` cannot run it again, because its script is not known.

        Raises
        ------
        StorageError
            The file system refuses.
        """
        if not str(directory):
            raise RequestError("no directory to save the result in", hint='result.save("results/first")')
        from rustybt.trading.results.result_files import write_result

        written = write_result(self, Path(directory))
        if self._on_save is not None:
            self._on_save(written)
        if self.script is None and self.script_unknown and self.pin is not None:
            warnings.warn(
                f"{written} is saved without its script and cannot be replayed: {self.script_unknown}",
                UserWarning,
                stacklevel=2,
            )
        return written

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        """Return the result saved in `directory`.

        Raises
        ------
        RequestError
            There is none, or its files cannot be read.
        """
        from rustybt.trading.results.result_files import read_result

        return read_result(Path(directory))

    def plot(self, path: str | Path, *, title: str = "") -> Path:
        """Write the equity and drawdown chart as PNG, the benchmark beside it where there is one, and return its path.

        Raises
        ------
        RequestError
            The result holds no session.
        MissingDependencyError
            matplotlib is not installed.
        """
        from rustybt.trading.report import curves_of, write_chart

        return write_chart(curves_of(self), Path(path), title=title, currency=self.data.currency)

    def tear_sheet(self, path: str | Path, *, title: str = "", notice: str = "") -> Path:
        """Write the report as one HTML page that needs nothing else, and return its path.

        It is drawn from what the result keeps: a loaded one needs neither its bundle nor a network.

        Parameters
        ----------
        title
            Heading of the page; by default the script and the data.
        notice
            A sentence the reader must not miss.
        """
        from rustybt.trading.report import write_tear_sheet

        return write_tear_sheet(self, Path(path), title=title, notice=notice)

    def __repr__(self) -> str:
        data = self.pin.reference if self.pin is not None else "bars in memory"
        state = "" if self.is_complete else ", incomplete"
        return f"Result({len(self.perf)} sessions on {data}{state})"
