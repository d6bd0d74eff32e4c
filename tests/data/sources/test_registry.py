"""Sources by name, and the ones that other packages bring."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace

import pytest

from rustybt.data.sources import CSVDataSource, get_source, list_sources, registry, source_from_provenance, source_info
from rustybt.data.sources.base import DataSource
from rustybt.errors import MissingDependencyError, RequestError
from rustybt.market.provenance import Provenance, SourceMetadata


class Weather(DataSource):
    """Bars of rain.

    Parameters
    ----------
    station, city
        Where it rains.
    """

    name = "weather"

    def __init__(self, station, *, city="Ghent"):
        self.station, self.city = station, city

    async def fetch(self, symbols, start, end, frequency="1d"):
        raise NotImplementedError

    def get_metadata(self):
        return SourceMetadata("weather")

    def supports_live(self):
        return False


@pytest.fixture
def third_party(monkeypatch):
    """Install entry points: (name, value, distribution)."""
    module = ModuleType("weather_package")
    module.Weather, module.Nothing = Weather, 7
    monkeypatch.setitem(sys.modules, "weather_package", module)

    def _install(*given):
        points = []
        for name, value, origin in given:
            point = EntryPoint(name, value, registry.GROUP)
            vars(point)["dist"] = None if origin is None else SimpleNamespace(name=origin)
            points.append(point)
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])

    return _install


def by_name(name):
    return next(info for info in list_sources() if info.name == name)


def test_the_built_in_sources_are_listed_with_their_options():
    found = {info.name: info for info in list_sources()}
    assert {"csv", "csvdir", "frame"} <= set(found)
    assert all(found[name].available for name in ("csv", "csvdir", "frame"))
    assert found["csv"].doc == "Bars from a CSV file, a directory of them, or a glob."
    assert "IANA zone" in found["csv"].options["timezone"]
    assert found["csvdir"].options["encoding"] == "UTF-8 if None."
    assert found["csv"].to_json()["options"]["path"]


def test_a_source_is_made_by_name_and_options(tmp_path):
    assert isinstance(get_source("CSV", path=tmp_path), CSVDataSource)


def test_an_unknown_source_names_near_ones():
    with pytest.raises(RequestError, match="unknown source 'cvs'") as caught:
        get_source("cvs")
    assert "csv" in caught.value.hint


def test_an_unknown_source_far_from_all_lists_them():
    with pytest.raises(RequestError) as caught:
        source_info("zzzzzzzz")
    assert "csv, csvdir, frame" in caught.value.hint


def test_an_unknown_option_names_a_near_one(tmp_path):
    with pytest.raises(RequestError, match="source csv has no option 'time_zone'") as caught:
        get_source("csv", path=tmp_path, time_zone="UTC")
    assert caught.value.hint == "did you mean timezone?"


def test_an_unknown_option_far_from_all_points_to_the_list(tmp_path):
    with pytest.raises(RequestError) as caught:
        get_source("csvdir", path=tmp_path, qqqqqqq=1)
    assert caught.value.hint == "rustybt sources info csvdir lists them"


def test_a_missing_option_is_named():
    with pytest.raises(RequestError, match="source csv needs the option path"):
        get_source("csv")


def test_a_third_party_source_is_found(third_party):
    third_party(("weather", "weather_package:Weather", "weather-bars"))
    info = source_info("weather")
    assert (info.available, info.origin, info.doc) == (True, "weather-bars", "Bars of rain.")
    assert info.options == {"station": "Where it rains.", "city": "Where it rains."}
    assert get_source("weather", station="Uccle").city == "Ghent"


def test_a_broken_import_is_shown_and_hides_no_other(third_party, monkeypatch, tmp_path):
    (tmp_path / "broken_weather.py").write_text("raise RuntimeError('no sun today')\n")
    (tmp_path / "leaving_weather.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    third_party(
        ("storm", "broken_weather:Storm", "storm-bars"),
        ("exit", "leaving_weather:Exit", "exit-bars"),
        ("weather", "weather_package:Weather", "weather-bars"),
    )
    assert by_name("storm").reason.endswith("cannot be imported: RuntimeError: no sun today")
    assert not by_name("exit").available
    assert by_name("weather").available
    assert by_name("csv").available
    with pytest.raises(RequestError, match="no sun today"):
        get_source("storm")


def test_a_missing_module_of_a_third_party_is_a_missing_dependency(third_party):
    third_party(("storm", "no_such_package_at_all:Storm", "storm-bars"))
    with pytest.raises(MissingDependencyError, match="needs the module no_such_package_at_all"):
        get_source("storm")


@pytest.mark.parametrize("value", ["weather_package:Nothing", "weather_package:Missing"])
def test_an_entry_that_is_no_source_class_is_refused(third_party, value):
    third_party(("weather", value, None))
    assert not by_name("weather").available
    with pytest.raises(RequestError, match="of an unknown package"):
        get_source("weather")


def test_a_third_party_cannot_replace_a_built_in_source(third_party, tmp_path):
    third_party(("csv", "weather_package:Weather", "csv-thief"))
    assert isinstance(get_source("csv", path=tmp_path), CSVDataSource)
    (thief,) = [info for info in list_sources() if info.origin == "csv-thief"]
    assert not thief.available
    assert "the name csv belongs to a built-in source" in thief.reason


def test_two_third_parties_with_one_name_are_both_refused(third_party):
    third_party(("weather", "weather_package:Weather", "one"), ("weather", "weather_package:Nothing", "two"))
    assert {info.available for info in list_sources() if info.name == "weather"} == {False}
    with pytest.raises(RequestError, match="one and two both bring a source weather"):
        get_source("weather")


def test_the_same_entry_found_twice_counts_once(third_party):
    third_party(("weather", "weather_package:Weather", "one"), ("weather", "weather_package:Weather", "one"))
    assert by_name("weather").available


def test_a_source_without_its_optional_package_is_listed_with_the_pip_command(monkeypatch):
    entry = registry._Entry(
        "vendor", "rustybt.data.sources.vendor.source", "Vendor", needs="vendor_client_xyz", extra="vendor"
    )
    monkeypatch.setattr(registry, "_BUILT_INS", (*registry._BUILT_INS, entry))
    info = source_info("vendor")
    assert not info.available
    assert info.pip_command == 'pip install "rustybt[vendor]"'
    assert "needs the package vendor_client_xyz" in info.reason
    with pytest.raises(MissingDependencyError):
        get_source("vendor")


def test_a_source_is_made_again_from_a_provenance(tmp_path):
    provenance = Provenance("csv", options={"path": str(tmp_path), "timezone": "Asia/Tokyo"})
    assert source_from_provenance(provenance).options() == dict(provenance.options)


def test_a_frame_cannot_be_made_again():
    with pytest.raises(RequestError, match="a frame in memory, which is gone"):
        source_from_provenance(Provenance("frame"))
