from datetime import date, datetime

import pandas as pd
import pytest

from rustybt.data.bundles.records import Alias
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")


def rows(*symbols):
    return frame_of_bars([(symbol, day, 1) for symbol in symbols for day in ("2024-01-02", "2024-01-05")])


@pytest.fixture
def renamed(store):
    """META was FB until 2022-06-08; another company took the ticker FB later."""
    aliases = [Alias("META", "FB", end=date(2022, 6, 8)), Alias("META", "FB US", source="vendor")]
    attributes = {"FB": AssetAttributes(venue="XNAS", listing_epoch=date(2024, 1, 2), asset_type="etf")}
    store.commit(
        "us",
        rows("META", "FB", "BTC"),
        SAID,
        aliases=aliases,
        assets={**attributes, "BTC": AssetAttributes(asset_type="crypto")},
    )
    return store


class TestFinder:
    @pytest.mark.parametrize(
        ("name", "day", "symbol"),
        [
            ("META", None, "META"),
            ("FB", None, "FB"),
            ("FB", "2020-05-01", "META"),
            ("FB", "2022-06-08", "META"),
            # As in Zipline: the name stays META's until the other company is listed, on 2024-01-02.
            ("FB", date(2022, 6, 9), "META"),
            ("FB", date(2024, 1, 1), "META"),
            ("FB", date(2024, 1, 2), "FB"),
            ("FB", datetime(2021, 1, 1), "META"),
            ("FB", pd.Timestamp("2021-01-01", tz="UTC"), "META"),
            ("FB US", None, "META"),
            ("FB US", "1999-01-01", "META"),
        ],
    )
    def test_a_name_means_what_it_meant_on_the_day(self, renamed, name, day, symbol):
        with renamed.open("us") as bundle:
            assert bundle.assets.lookup_symbol(name, as_of_date=day).symbol == symbol

    @pytest.mark.parametrize("day", [None, "2019-12-31", "2020-01-01", "2024-01-05"])
    def test_a_former_name_that_nobody_took_is_still_that_of_its_asset(self, store, day):
        store.commit("us", rows("NEWN"), SAID, aliases=[Alias("NEWN", "OLDN", date(2015, 1, 2), date(2019, 12, 31))])
        with store.open("us") as bundle:
            assert bundle.assets.lookup_symbol("OLDN", day).symbol == "NEWN"

    def test_a_name_is_nobodys_before_its_first_owner_had_it(self, store):
        store.commit("us", rows("NEWN"), SAID, aliases=[Alias("NEWN", "OLDN", date(2015, 1, 2), date(2019, 12, 31))])
        with (
            store.open("us") as bundle,
            pytest.raises(SymbolNotFoundError, match="no asset is called 'OLDN' on 2015-01-01") as caught,
        ):
            bundle.assets.lookup_symbol("OLDN", "2015-01-01")
        assert "OLDN" not in caught.value.details["similar"]

    def test_a_name_that_nobody_had_names_near_ones(self, renamed):
        with renamed.open("us") as bundle:
            with pytest.raises(
                SymbolNotFoundError, match=r"no asset is called 'METAA' on 2020-01-01 in us@1; did you mean META\?"
            ):
                bundle.assets.lookup_symbol("METAA", "2020-01-01")
            with pytest.raises(SymbolNotFoundError, match="did you mean"):
                bundle.read(["META", "FBB"])
            with pytest.raises(SymbolNotFoundError, match="no asset with sid 99"):
                bundle.assets.retrieve_asset(99)

    def test_assets_are_found_by_sid_and_listed_in_order(self, renamed):
        with renamed.open("us") as bundle:
            finder = bundle.assets
            assert len(finder) == 3
            assert finder.symbols == ["BTC", "FB", "META"]
            assert finder.sids == [asset.sid for asset in finder.retrieve_all()]
            assert [finder.retrieve_asset(sid).symbol for sid in finder.equities_sids] == ["FB", "META"]
            assert [a.symbol for a in finder.lookup_symbols(["META", "BTC"])] == ["META", "BTC"]
            assert finder.retrieve_all([finder.sids[2], finder.sids[0]]) == [
                finder.retrieve_asset(finder.sids[2]),
                finder.retrieve_asset(finder.sids[0]),
            ]
            asset = bundle.asset("META")
            assert (asset.first_session, asset.last_session) == (date(2024, 1, 2), date(2024, 1, 5))
            assert asset.start_date == pd.Timestamp("2024-01-02")


class TestSids:
    def test_an_asset_of_a_known_venue_has_one_sid_in_all_bundles(self, store):
        known = {"A": AssetAttributes(venue="XNYS")}
        for name in ("one", "two"):
            store.commit(name, rows("A", "B"), SAID, assets=known)
        with store.open("one") as one, store.open("two") as two:
            assert one.asset("A").sid == two.asset("A").sid
            # A venue that nobody knows is scoped to its bundle: these may be two companies.
            assert one.asset("B").sid != two.asset("B").sid

    def test_they_stay_when_symbols_come_and_go_between(self, store):
        store.commit("us", rows("B"), SAID)
        store.commit("eu", rows("X", "Y"), SAID)
        store.commit("us", rows("A", "B", "C"), SAID)
        assert store.asset_db.all_sids() == {
            ("bundle:us", "B", ""): 1, ("bundle:eu", "X", ""): 2, ("bundle:eu", "Y", ""): 3,
            ("bundle:us", "A", ""): 4, ("bundle:us", "C", ""): 5,
        }  # fmt: skip

    def test_a_failed_ingest_may_waste_a_sid_but_never_gives_it_twice(self, home):
        def crash(step):
            if step == "manifest-written":
                raise KeyboardInterrupt

        with BundleStore(home, on_step=crash) as store, pytest.raises(KeyboardInterrupt):
            store.commit("us", rows("A"), SAID)
        with BundleStore(home) as store:
            store.commit("eu", rows("Z"), SAID)
            store.commit("us", rows("A"), SAID)
            assert sorted(store.asset_db.all_sids().values()) == [1, 2]

    def test_a_venue_learned_later_keeps_the_sid_through_a_recovery(self, store):
        store.commit("us", rows("A"), SAID)
        store.commit("us", rows("A", "B"), SAID, assets={"A": AssetAttributes(venue="XNYS")})
        store.commit("eu", rows("C"), SAID)

        def sids():
            found = {}
            for reference in ("us@1", "us@2", "eu@1"):
                with store.open(reference) as bundle:
                    found[reference] = {asset.symbol: asset.sid for asset in bundle.assets.retrieve_all()}
            return found

        before = sids()
        assert before == {"us@1": {"A": 1}, "us@2": {"A": 1, "B": 2}, "eu@1": {"C": 3}}
        store.close()
        store.database.path.unlink()
        store.recover()
        assert sids() == before

    def test_an_empty_home_has_none(self, store):
        assert store.asset_db.all_sids() == {}
        assert store.asset_db.ensure_sids("us", {}) == {}
