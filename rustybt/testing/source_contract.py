# ruff: noqa: S101 - assertions are what a test suite is made of
"""The promises of `DataSource` as tests: a source that passes them works everywhere in RustyBT.

::

    class TestMySource(SourceContract):
        symbols = ("AAPL", "MSFT")

        @pytest.fixture
        def source(self):
            return MySource(base_url=fake_server.url)

Needs pytest. Point the source at recorded answers or a local fake, never at the vendor.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.bridge import iterate
from rustybt.data.sources.delivery import DataQualityWarning
from rustybt.data.sources.registry import get_source
from rustybt.errors import BundleNotFoundError, RequestError, SourceError, SymbolNotFoundError
from rustybt.market.bars import BAR_SCHEMA, check_bars
from rustybt.market.frequency import Frequency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rustybt.data.sources.base import DataSource


class SourceContract:
    """Derive a test class, name two symbols that the source knows, and give the fixture `source`.

    Attributes
    ----------
    symbols
        At least two symbols with at least three bars each.
    frequency, start, end
        Of bars that the source has; None leaves the range open.
    empty_range
        A range, both ends included, in which the source has no bars.
    unknown_symbol
        A symbol that it does not know.
    can_be_rebuilt
        Whether ``get_source(name, **source.options())`` gives the same source again.
    """

    symbols: ClassVar[tuple[str, ...]] = ()
    frequency: ClassVar[str] = "1d"
    start: ClassVar[str | None] = None
    end: ClassVar[str | None] = None
    empty_range: ClassVar[tuple[str, str]] = ("1950-01-02", "1950-01-31")
    unknown_symbol: ClassVar[str] = "NO.SUCH.SYMBOL"
    can_be_rebuilt: ClassVar[bool] = True

    @pytest.fixture
    def source(self) -> DataSource:
        """Return the source under test."""
        pytest.fail("derive from this class and give the fixture `source`")

    @pytest.fixture
    def contract_store(self, tmp_path: Path) -> Iterator[BundleStore]:
        """Give a store in a directory of the test."""
        with BundleStore(tmp_path / "contract-home") as store:
            yield store

    def _fetch(self, source: DataSource, symbols: Any = None, start: Any = None, end: Any = None) -> pl.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            return source.fetch_sync(symbols or self.symbols, start or self.start, end or self.end, self.frequency)

    # -- what it says of itself --------------------------------------------------------------------------------------

    def test_it_names_itself(self, source: DataSource) -> None:
        """`name` and `source_type` agree, and the metadata reads as a Mapping."""
        assert source.name
        assert source.get_metadata()["source_type"] == source.name
        assert source.get_metadata().source_type == source.name

    def test_it_says_whether_it_streams(self, source: DataSource) -> None:
        """`supports_live` is a plain answer, and the metadata agrees."""
        assert source.supports_live() is source.get_metadata().supports_live

    def test_its_options_are_json(self, source: DataSource) -> None:
        """`options` survives JSON unchanged: it is stored with every version."""
        assert json.loads(json.dumps(source.options())) == source.options()

    def test_it_can_be_made_again_from_its_options(self, source: DataSource) -> None:
        """The options are enough to repeat an ingest, or it is refused: never another source in its place."""
        if not self.can_be_rebuilt:
            with pytest.raises(RequestError):
                get_source(source.name, **source.options())
            return
        again = get_source(source.name, **source.options())
        assert self._fetch(again).equals(self._fetch(source))

    # -- frames ------------------------------------------------------------------------------------------------------

    def test_a_fetch_keeps_the_frame_contract(self, source: DataSource) -> None:
        """Columns, dtypes, order, uniqueness, no nulls."""
        bars = check_bars(self._fetch(source))
        assert set(bars["symbol"]) == set(self.symbols)
        assert bars.height >= 3 * len(self.symbols)

    def test_await_and_sync_answer_the_same(self, source: DataSource) -> None:
        """One implementation, two faces."""

        async def ask() -> pl.DataFrame:
            return await source.fetch(list(self.symbols), self.start, self.end, self.frequency)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            assert asyncio.run(ask()).equals(self._fetch(source))

    def test_the_synchronous_face_works_inside_a_running_loop(self, source: DataSource) -> None:
        """Notebooks run one."""

        async def cell() -> pl.DataFrame:
            return self._fetch(source)

        assert asyncio.run(cell()).schema == BAR_SCHEMA

    def test_both_ends_of_a_range_are_included(self, source: DataSource) -> None:
        """A range from the first to the last label of some bars is exactly these bars."""
        symbol = self.symbols[0]
        stamps = self._fetch(source, [symbol])["timestamp"]
        first, last = stamps[1], stamps[-2]
        found = self._fetch(source, [symbol], first, last)["timestamp"]
        assert (found[0], found[-1], found.len()) == (first, last, stamps.len() - 2)

    def test_one_symbol_has_the_bars_it_has_among_others(self, source: DataSource) -> None:
        """The shape does not depend on how many symbols are asked for."""
        everything = self._fetch(source)
        for symbol in self.symbols:
            assert self._fetch(source, [symbol]).equals(everything.filter(pl.col("symbol") == symbol))

    def test_the_order_and_repetition_of_symbols_do_not_matter(self, source: DataSource) -> None:
        """Bars are sorted by symbol whatever was typed."""
        typed = [*reversed(self.symbols), *self.symbols]
        assert self._fetch(source, typed).equals(self._fetch(source))

    def test_a_range_without_bars_is_an_empty_frame(self, source: DataSource) -> None:
        """Same schema, no rows."""
        empty = self._fetch(source, None, *self.empty_range)
        assert empty.is_empty()
        assert empty.schema == BAR_SCHEMA

    # -- refusals ----------------------------------------------------------------------------------------------------

    def test_an_unknown_symbol_is_named(self, source: DataSource) -> None:
        """Unknown is not the same as empty."""
        with pytest.raises(SymbolNotFoundError, match=self.unknown_symbol.replace(".", r"\.")):
            self._fetch(source, [self.unknown_symbol])

    def test_an_unknown_frequency_is_refused(self, source: DataSource) -> None:
        """Before anything is read."""
        with pytest.raises(RequestError):
            source.fetch_sync(self.symbols, self.start, self.end, "7 fortnights")

    def test_an_end_before_the_start_is_refused(self, source: DataSource) -> None:
        """Before anything is read."""
        with pytest.raises(RequestError):
            source.fetch_sync(self.symbols, "2020-02-01", "2020-01-01", self.frequency)

    # -- deliveries and bundles --------------------------------------------------------------------------------------

    def test_deliveries_hold_whole_symbols_in_rising_order(self, source: DataSource) -> None:
        """The store writes while the source still reads."""
        request = source.request(self.symbols, self.start, self.end, self.frequency)
        seen: list[str] = []
        for delivery in iterate(source.deliver(request)):
            assert delivery.bars.schema == BAR_SCHEMA
            names = sorted(delivery.bars["symbol"].unique())
            assert not seen or not names or names[0] > seen[-1]
            seen += names
        assert seen == sorted(self.symbols)

    def test_an_ingest_stores_what_a_fetch_returns(self, source: DataSource, contract_store: BundleStore) -> None:
        """One path, no digit changed."""
        report = source.ingest_to_bundle(
            "contract", self.symbols, self.start, self.end, self.frequency, store=contract_store
        )
        assert report.version == 1
        with contract_store.open("contract") as bundle:
            stored = bundle.read(frequency=self.frequency)
        assert stored.equals(self._fetch(source))
        assert report.rows == stored.height

    def test_the_provenance_repeats_what_was_asked(self, source: DataSource, contract_store: BundleStore) -> None:
        """Where the bars came from is part of every version."""
        source.ingest_to_bundle("contract", self.symbols, self.start, self.end, self.frequency, store=contract_store)
        with contract_store.open("contract") as bundle:
            provenance = bundle.provenance
        assert provenance.source_type == source.name
        assert provenance.symbols == tuple(self.symbols)
        assert provenance.frequency == Frequency.parse(self.frequency).name

    def test_the_same_ingest_again_changes_nothing(self, source: DataSource, contract_store: BundleStore) -> None:
        """Equal content makes no version."""
        for _ in range(2):
            report = source.ingest_to_bundle(
                "contract", self.symbols, self.start, self.end, self.frequency, store=contract_store
            )
        assert report.unchanged
        assert report.version == 1

    def test_one_unknown_symbol_does_not_fail_the_others(self, source: DataSource, contract_store: BundleStore) -> None:
        """It is listed, and the exit status says partial."""
        report = source.ingest_to_bundle(
            "contract",
            [*self.symbols, self.unknown_symbol],
            self.start,
            self.end,
            self.frequency,
            store=contract_store,
        )
        assert set(report.symbols) == set(self.symbols)
        assert isinstance(report.failures[self.unknown_symbol], SymbolNotFoundError)
        assert report.exit_code == 3

    def test_an_ingest_that_delivers_nothing_leaves_nothing(
        self, source: DataSource, contract_store: BundleStore
    ) -> None:
        """Neither a bundle nor a version."""
        with pytest.raises(SourceError):
            source.ingest_to_bundle("contract", [self.unknown_symbol], store=contract_store, frequency=self.frequency)
        with pytest.raises(BundleNotFoundError):
            contract_store.open("contract")
