"""`RunData` on disk: prices.csv, and the rest in result.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.market.provenance import Provenance
from rustybt.trading.results.run_data import RunData
from rustybt.trading.results.run_quality import RunQuality
from rustybt.trading.results.traded_prices import TradedPrices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PRICES = "prices.csv"


def write_prices(prices: TradedPrices, sessions: Sequence[str], path: Path) -> None:
    """Write one row a session and asset that has a close in it: session, symbol, sid, close."""
    import pandas as pd

    rows, columns = np.nonzero(~np.isnan(prices.closes))
    pd.DataFrame(
        {
            "row": rows,
            "session": [sessions[row] for row in rows.tolist()],
            "symbol": [prices.symbols[column] for column in columns.tolist()],
            "sid": [prices.sids[column] for column in columns.tolist()],
            "close": prices.closes[rows, columns],
        }
    ).to_csv(path, index=False)


def data_facts(data: RunData) -> dict[str, Any]:
    """Return all of `data` but the prices themselves, and the notes that the result keeps, as plain JSON values."""
    prices = data.prices
    return {
        "prices": None
        if prices is None
        else {
            "sids": list(prices.sids),
            "symbols": list(prices.symbols),
            "sessions": len(prices.closes),
            "left_out": prices.left_out,
        },
        "quality": None if data.quality is None else data.quality.to_json(),
        "provenance": None if data.provenance is None else data.provenance.to_json(),
        "currency": data.currency,
    }


def read_data(facts: Mapping[str, Any] | None, directory: Path) -> RunData:
    """Return what `data_facts` and `write_prices` wrote; results of earlier versions have none."""
    if facts is None:
        return RunData()
    quality, provenance = facts["quality"], facts["provenance"]
    return RunData(
        prices=None if facts["prices"] is None else _read_prices(facts["prices"], directory / PRICES),
        quality=None if quality is None else RunQuality.from_json(quality),
        provenance=None if provenance is None else Provenance.from_json(provenance),
        currency=facts["currency"],
    )


def _read_prices(facts: Mapping[str, Any], path: Path) -> TradedPrices:
    import polars as pl

    frame = pl.read_csv(path, schema_overrides={"symbol": pl.String, "close": pl.Float64}, infer_schema_length=None)
    closes = np.full((facts["sessions"], len(facts["sids"])), np.nan)
    place = {sid: column for column, sid in enumerate(facts["sids"])}
    for row, sid, close in frame.select("row", "sid", "close").iter_rows():
        closes[row, place[sid]] = close
    return TradedPrices(tuple(facts["sids"]), tuple(facts["symbols"]), closes, facts["left_out"])
