"""What Zipline's numbers cannot hold: prices and volumes are 32 bits wide, and 0 means that there is no bar."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.errors import RequestError
from rustybt.market.bars import PRICE_COLUMNS, join_frames
from rustybt.market.decimals import MAX_SCALE
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LARGEST = 2**32 - 1
#: Decimals of a price: always three in daily bars, as many as each asset needs in minute bars, where there is room.
DECIMALS, MOST_DECIMALS = 3, 9


@dataclass(frozen=True, slots=True)
class Survey:
    """One row a symbol: what was found in its bars, exact integers times 10**18 where they are prices or volumes."""

    symbols: pl.DataFrame

    @property
    def rounded_prices(self) -> int:
        """Number of bars whose prices have more decimals than they are given."""
        return sum(row[f"finer_{row['decimals']}"] for row in self.rows)

    @property
    def rounded_volumes(self) -> int:
        """Number of bars with a fractional volume."""
        return int(self.symbols["fractions"].sum())

    @property
    def outside(self) -> int:
        """Number of bars without a place in Zipline's calendar."""
        return int(self.symbols["outside"].sum())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The symbols by name."""
        return self.symbols.to_dicts()

    @property
    def decimals(self) -> dict[str, int]:
        """How many decimals the prices of each symbol are given."""
        return dict(self.symbols.select("symbol", "decimals").iter_rows())

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """First and last session of each symbol that has a bar in one."""
        kept = self.symbols.filter(pl.col("first").is_not_null())
        return {symbol: (first, last) for symbol, first, last in kept.select("symbol", "first", "last").iter_rows()}


def survey(batches: Iterable[pl.DataFrame], *, most_decimals: int = DECIMALS) -> Survey:
    """Look at all bars that are to be written.

    Parameters
    ----------
    most_decimals
        More than `DECIMALS` chooses for each symbol the fewest that lose nothing, as far as its highest price allows.
    """
    parts = [_look_at(bars) for bars in batches]
    found = join_frames(parts) if parts else _look_at(_NOTHING)
    numbers = [name for name in found.columns if name.startswith("finer_")]
    joined = found.group_by("symbol").agg(
        pl.col("first", "lowest", "smallest", "least").min(),
        pl.col("last", "highest", "most").max(),
        pl.col("kept", "outside", "fractions", "vanishing", "zeros", *numbers).sum(),
        pl.col("offender", "offended").drop_nulls().first(),
    )
    joined = joined.sort("symbol")
    chosen = [_decimals(row, most_decimals) for row in joined.to_dicts()]
    return Survey(joined.with_columns(pl.Series("decimals", chosen, dtype=pl.Int64)))


_NOTHING = pl.DataFrame(
    schema={
        "timestamp": pl.Datetime("us", "UTC"),
        "symbol": pl.String,
        **dict.fromkeys((*PRICE_COLUMNS, "volume"), pl.Decimal(38, MAX_SCALE)),
        "row": pl.Int64,
        "position": pl.Int64,
    }
)


def _look_at(bars: pl.DataFrame) -> pl.DataFrame:
    kept = pl.col("position") >= 0
    exact = bars.with_columns(bars[name].to_physical().alias(name) for name in (*PRICE_COLUMNS, "volume"))
    prices = [pl.col(name) for name in PRICE_COLUMNS]

    def finer(decimals: int) -> pl.Expr:
        return pl.any_horizontal(price % _unit(decimals) != 0 for price in prices)

    volume = pl.col("volume")
    offender = pl.coalesce(pl.when(price % _unit(DECIMALS) != 0).then(price) for price in prices)
    lowest = pl.min_horizontal(prices)
    return (
        exact.with_columns(
            lowest.alias("lowest"), pl.max_horizontal(prices).alias("highest"), offender.alias("offender")
        )
        .group_by("symbol", maintain_order=True)
        .agg(
            pl.col("row").filter(kept).min().alias("first"),
            pl.col("row").filter(kept).max().alias("last"),
            pl.col("lowest").filter(kept).min(),
            pl.col("lowest").filter(kept & (pl.col("lowest") > 0)).min().alias("smallest"),
            pl.col("highest").filter(kept).max(),
            volume.filter(kept).min().alias("least"),
            volume.filter(kept).max().alias("most"),
            kept.sum().alias("kept"),
            (~kept).sum().alias("outside"),
            (kept & (volume % _unit(0) != 0)).sum().alias("fractions"),
            (kept & (volume > 0) & (volume * 2 <= _unit(0))).sum().alias("vanishing"),
            (kept & (pl.col("lowest") == 0)).sum().alias("zeros"),
            *((kept & finer(k)).sum().alias(f"finer_{k}") for k in range(DECIMALS, MOST_DECIMALS + 1)),
            pl.col("offender").filter(kept).drop_nulls().first(),
            pl.col("timestamp").filter(kept & pl.col("offender").is_not_null()).first().alias("offended"),
        )
    )


def _unit(decimals: int) -> pl.Expr:
    return pl.lit(10 ** (MAX_SCALE - decimals), dtype=pl.Int128)


def _decimals(row: dict[str, Any], most: int) -> int:
    decimals = DECIMALS
    while decimals < most and row[f"finer_{decimals}"] and row["highest"] * 10 < LARGEST * 10 ** (MAX_SCALE - decimals):
        decimals += 1
    return decimals


def scaled(values: pl.Series, decimals: int) -> pl.Series:
    """Return a Decimal(38, 18) series times 10**decimals as unsigned 32 bits, halves rounded to the even neighbour."""
    integers, unit = values.to_physical(), 10 ** (MAX_SCALE - decimals)
    frame = pl.DataFrame({"v": integers})
    step = pl.lit(unit, dtype=pl.Int128)
    whole, rest = pl.col("v") // step, pl.col("v") % step
    up = (rest * 2 > step) | ((rest * 2 == step) & (whole % 2 == 1))
    return frame.select((whole + up.cast(pl.Int128)).cast(pl.UInt32).alias(values.name)).to_series()


def refuse(kind: str, found: Survey, reference: str) -> None:
    """Raise unless every number of the ``daily`` or ``minute`` bars has a place.

    Raises
    ------
    RequestError
        Names the symbols with a negative price or volume, and those with numbers that are too large or too small.
    """
    unit, one = 10**MAX_SCALE, 10 ** (MAX_SCALE - DECIMALS)
    kept = [row for row in found.rows if row["kept"]]

    def names(is_bad: Iterable[bool]) -> list[str]:
        return [row["symbol"] for row, bad in zip(kept, is_bad, strict=True) if bad]

    cases = (
        ("negative prices", names(row["lowest"] < 0 for row in kept)),
        ("negative volumes", names(row["least"] < 0 for row in kept)),
        ("prices of 4,294,967.295 or more", names(2 * row["highest"] >= (2 * LARGEST - 1) * one for row in kept)),
        ("volumes above 4,294,967,295", names(2 * row["most"] >= (2 * LARGEST + 1) * unit for row in kept)),
        (
            "prices that would be rounded to 0, which Zipline reads as no bar",
            names(
                row["smallest"] is not None and 2 * row["smallest"] <= 10 ** (MAX_SCALE - row["decimals"])
                for row in kept
            ),
        ),
    )
    bad = [(what, symbols) for what, symbols in cases if symbols]
    if bad:
        raise RequestError(
            f"Zipline's format cannot hold the {kind} bars of {reference}: "
            + "; ".join(f"{what} of {listed(symbols)}" for what, symbols in bad),
            hint="--to parquet keeps all digits; ingest a bundle without these symbols, or in larger units, for Zipline",
            symbols=sorted({symbol for _, symbols in bad for symbol in symbols}),
        )


def notes(kind: str, found: Survey) -> list[str]:
    """Return what is changed in ``daily`` or ``minute`` bars on the way, one sentence each, with counts and an example."""
    shape = "%Y-%m-%d" if kind == "daily" else "%Y-%m-%d %H:%M UTC"
    rows, said = found.rows, list[str]()
    rounded = [row for row in rows if row[f"finer_{row['decimals']}"]]
    if rounded:
        example = rounded[0]
        exact = Decimal(example["offender"]).scaleb(-MAX_SCALE)
        price = exact.quantize(Decimal(1).scaleb(-example["decimals"]), rounding="ROUND_HALF_EVEN")
        said.append(
            f"{found.rounded_prices:,} {kind} bars of {_names(rounded)} have more decimals than Zipline keeps and were "
            f"rounded, e.g. {example['symbol']} at {example['offended']:{shape}}: "
            f"{exact.normalize():f} became {price:f}"
        )
    fractions = [row for row in rows if row["fractions"]]
    if fractions:
        lost = sum(row["vanishing"] for row in rows)
        said.append(
            f"{found.rounded_volumes:,} {kind} bars of {_names(fractions)} have a fractional volume, which was rounded to "
            "whole units" + (f"; {lost:,} became 0: Zipline takes these bars for not traded" if lost else "")
        )
    zeros = [row for row in rows if row["zeros"]]
    if zeros:
        count = sum(row["zeros"] for row in zeros)
        said.append(f"{count:,} {kind} bars of {_names(zeros)} have a price of 0, which Zipline reads as missing")
    outside = [row for row in rows if row["outside"]]
    if outside:
        said.append(
            f"{found.outside:,} {kind} bars of {_names(outside)} lie outside the sessions of Zipline's calendar and were "
            "left out"
        )
    return said


def _names(rows: Sequence[dict[str, Any]]) -> str:
    return listed([row["symbol"] for row in rows])
