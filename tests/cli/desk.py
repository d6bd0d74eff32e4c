"""A source as another package would bring it, with an option of its own."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from rustybt.data.sources import DataSource
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.provenance import SourceMetadata

DAYS = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3, 4, 5)]


class DeskDataSource(DataSource):
    """Prices of a desk.

    Parameters
    ----------
    level
        Price of every bar.
    """

    name = "desk"
    #: Of every fetch: the symbols asked for.
    asked: list = []  # noqa: RUF012  a test empties it

    def __init__(self, *, level="10.50"):
        self.level = level

    async def fetch(self, symbols, start, end, frequency="1d"):
        request = self.request(symbols, start, end, frequency)
        DeskDataSource.asked.append(request.symbols)
        price = Decimal(self.level)
        rows = [(day, name, price, price, price, price, Decimal(7)) for name in sorted(request.symbols) for day in DAYS]
        return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row").filter(request.in_range())

    def get_metadata(self):
        return SourceMetadata(source_type="desk", source_url="desk://prices")

    def supports_live(self):
        return False

    def options(self):
        return {"level": self.level}
