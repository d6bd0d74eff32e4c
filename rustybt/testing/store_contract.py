# ruff: noqa: S101 - assertions are what a test suite is made of
"""The promises of a bundle store as tests: what every reader and every source relies on.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def home(self):
            return MyHome(...)  # what `open_store` needs to find the same bundles again

        def open_store(self, home):
            return MyStore(home)

Needs pytest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.errors import BundleNameError, BundleNotFoundError, DataQualityError, RequestError, VersionNotFoundError
from rustybt.market.bars import BAR_SCHEMA, VALUE_COLUMNS
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import Row, frame_of_bars
from rustybt.testing.reference_hash import reference_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SAID = Provenance("contract", fetch_timestamp=1_700_000_000)
_ROWS: list[Row] = [
    ("A", "2023-12-29", "0.00000712", "1", "0.00000001", "0.5", "12345678901234"),
    ("A", "2024-01-02", "123456789.123456789", "123456790", "-37.63", "1", "0"),
    ("=cmd|' /C x", "2024-01-02", "99999999999999999999.999999999999999999"),
]


class StoreContract:
    """Derive a test class, and override `home` and `open_store` for another store than the local one."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Any:
        """Return what `open_store` needs to find the same bundles again."""
        return tmp_path / "home"

    def open_store(self, home: Any) -> BundleStore:
        """Return a store over `home`, as a new process would open it."""
        return BundleStore(home)

    @pytest.fixture
    def store(self, home: Any) -> Iterator[BundleStore]:
        """Give the empty store under test."""
        with self.open_store(home) as opened:
            yield opened

    def test_every_digit_comes_back_in_the_contracts_frame(self, store: BundleStore, home: Any) -> None:
        """Also in a store that was opened anew."""
        store.commit("us", frame_of_bars(_ROWS), _SAID)
        with self.open_store(home) as again, again.open("us") as bundle:
            frame = bundle.read()
            assert frame.schema == BAR_SCHEMA
            assert frame.equals(frame_of_bars(_ROWS))
            assert bundle.read("A", "2024-01-02", "2024-01-02")["low"].to_list() == [Decimal("-37.63")]
            assert bundle.read([], None, None).schema == BAR_SCHEMA
            floats = bundle.read_arrays().values
            assert {name: floats[name].tolist() for name in VALUE_COLUMNS} == {
                name: [float(value) for value in frame[name]] for name in VALUE_COLUMNS
            }

    def test_new_rows_replace_old_ones_and_old_versions_stay(self, store: BundleStore) -> None:
        """An ingest upserts; a version never changes."""
        first = store.commit("us", frame_of_bars(_ROWS), _SAID)
        second = store.commit("us", frame_of_bars([("A", "2024-01-02", "7"), ("B", "2024-01-02", "8")]), _SAID)
        assert (second.version, second.rows_added, second.rows_changed, second.row_count) == (2, 1, 1, 4)
        with store.open("us@1") as old, store.open("us") as new:
            assert (old.content_hash, new.content_hash) == (first.content_hash, second.content_hash)
            assert old.read().equals(frame_of_bars(_ROWS))
            assert new.read("A")["close"].to_list() == [Decimal("0.5"), Decimal(7)]

    def test_equal_content_makes_no_version(self, store: BundleStore) -> None:
        """Whoever delivers it again."""
        store.commit("us", frame_of_bars(_ROWS), _SAID)
        again = store.commit("us", frame_of_bars(_ROWS[:1]), Provenance("someone else"))
        assert again.unchanged
        assert [info.version for info in store.versions("us")] == [1]

    def test_only_a_replacing_ingest_removes_rows(self, store: BundleStore) -> None:
        """And only inside what was asked for."""
        store.commit("us", frame_of_bars(_ROWS), _SAID)
        result = store.commit("us", frame_of_bars(_ROWS[1:2]), _SAID, replace=True)
        assert (result.rows_removed, result.rows_unchanged, result.row_count) == (1, 1, 2)

    def test_the_content_hash_is_the_specified_one(self, store: BundleStore) -> None:
        """So that two stores can tell that they hold the same."""
        split = CorporateAction.split("A", "2024-01-02", 2, 1)
        batches = [frame_of_bars([row]) for row in reversed(_ROWS)]
        result = store.commit("us", batches, _SAID, actions=[split])
        nothing = dict.fromkeys(("venue", "lot_size", "tick_size", "listing_epoch"))
        attributes = {**nothing, "asset_type": "equity", "currency": "USD", "name": ""}
        described = {
            "assets": {
                symbol: {"attributes": attributes, "price_basis": {"1d": "raw"}} for symbol in ("A", "=cmd|' /C x")
            },
            "actions": [{k: v for k, v in split.to_json().items() if k not in ("source", "first_seen")}],
            "aliases": [],
        }
        bars = {(row[1], row[0]): row[2:] for row in frame_of_bars(_ROWS).rows()}
        assert result.content_hash == reference_hash({"1d": bars}, described)

    def test_what_is_refused_leaves_nothing(self, store: BundleStore) -> None:
        """Names, symbols and frames are checked at the door."""
        with pytest.raises(BundleNameError):
            store.commit("../../x", frame_of_bars(_ROWS), _SAID)
        with pytest.raises(DataQualityError):
            store.commit("us", frame_of_bars(_ROWS).reverse(), _SAID)
        with pytest.raises(RequestError):
            store.commit("us", frame_of_bars(_ROWS), _SAID, price_basis="magic")
        assert store.list_bundles() == []
        with pytest.raises(BundleNotFoundError):
            store.open("us")

    def test_versions_are_found_by_number_tag_and_hash(self, store: BundleStore) -> None:
        """And what is not there is said so."""
        first = store.commit("us", frame_of_bars(_ROWS), _SAID)
        store.commit("us", frame_of_bars([("B", "2024-01-02", "8")]), _SAID)
        store.tag("us@1", "golden")
        for reference in ("us@1", "us@golden", f"us@sha256:{first.content_hash[:12]}"):
            with store.open(reference) as bundle:
                assert bundle.version == 1
        with pytest.raises(VersionNotFoundError):
            store.open("us@3")

    def test_garbage_collection_spares_what_is_open_tagged_or_latest(self, store: BundleStore) -> None:
        """Whatever it is told to keep."""
        for close in (1, 2, 3, 4):
            store.commit("us", frame_of_bars([("A", "2024-01-02", close)]), _SAID)
        store.tag("us@1", "golden")
        with store.open("us@2") as held:
            report = store.gc("us", keep_last=1, grace_seconds=0)
            assert report.collected == ["us@3"]
            assert held.read()["close"].to_list() == [Decimal(2)]
        for reference, close in (("us@golden", 1), ("us", 4)):
            with store.open(reference) as bundle:
                assert bundle.read()["close"].to_list() == [Decimal(close)]
            assert store.verify(reference).is_whole

    def test_a_removed_bundle_is_gone_and_its_name_is_free(self, store: BundleStore) -> None:
        """Its sids are not given to others."""
        store.commit("us", frame_of_bars(_ROWS), _SAID)
        store.remove("us")
        with pytest.raises(BundleNotFoundError):
            store.open("us")
        store.commit("us", frame_of_bars([("B", "2024-01-02", "8")]), _SAID)
        with store.open("us") as bundle:
            assert (bundle.version, bundle.symbols, bundle.asset("B").sid) == (1, ("B",), 3)
