from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from rustybt.errors import RequestError
from rustybt.market.assets import Asset, AssetAttributes


def test_attributes_survive_json():
    given = AssetAttributes(
        venue="XNYS",
        asset_type="etf",
        currency="EUR",
        lot_size=Decimal("0.001"),
        tick_size=Decimal("0.01"),
        name="N",
        listing_epoch=date(2020, 1, 2),
    )
    assert AssetAttributes.from_json(given.to_json()) == given
    assert AssetAttributes.from_json(AssetAttributes().to_json()) == AssetAttributes()


def test_unknown_keys_of_a_newer_version_are_ignored():
    assert AssetAttributes.from_json({"venue": "XLON", "sector": "banks"}) == AssetAttributes(venue="XLON")


def test_an_unknown_asset_type_is_refused():
    with pytest.raises(RequestError, match="unknown asset type 'bond'"):
        AssetAttributes(asset_type="bond")


def test_assets_are_their_sid():
    one, same, two = Asset(1, "A"), Asset(1, "renamed"), Asset(2, "A")
    assert one == same
    assert hash(one) == hash(same)
    assert one != two
    assert sorted([two, one]) == [one, two]
    assert int(two) == 2
    assert [10, 20, 30][two] == 30
    with pytest.raises(TypeError):
        _ = one < 2


def test_an_asset_shows_zipline_names():
    asset = Asset(
        7, "BTC/USDT", "24/7", date(2020, 1, 2), date(2020, 3, 1), AssetAttributes("binance", "crypto", "USDT")
    )
    assert str(asset) == repr(asset) == "Crypto(7 [BTC/USDT])"
    assert (asset.exchange, asset.currency, asset.asset_type, asset.asset_name) == (
        "binance",
        "USDT",
        "crypto",
        "BTC/USDT",
    )
    assert asset.start_date == pd.Timestamp("2020-01-02")
    assert asset.end_date == pd.Timestamp("2020-03-01")
    named = Asset(1, "A", attributes=AssetAttributes(name="Alpha"))
    assert named.asset_name == "Alpha"
    assert named.exchange == ""
    assert pd.isna(named.start_date)
    assert pd.isna(named.end_date)


def test_sessions_can_be_moved():
    moved = Asset(1, "A").with_sessions(date(2020, 1, 2), date(2020, 1, 3))
    assert (moved.first_session, moved.last_session) == (date(2020, 1, 2), date(2020, 1, 3))
