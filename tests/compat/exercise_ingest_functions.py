"""Zipline's ready-made ingest functions, registered and called as definitions do."""

import zipfile

from rustybt.data import bundles
from rustybt.data.bundles.csvdir import csvdir_bundle, csvdir_equities
from rustybt.data.bundles.quandl import quandl_bundle
from tests.compat.exercises import exercise

DAY = "date,open,high,low,close,volume,dividend,split\n2024-01-02,10,11,9,10.5,100,0.0,1.0\n"
WIKI = "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio\nA,2024-01-02,10,11,9,10.5,100,0.0,1.0\n"


def ingested(name, function, environ):
    bundles.register(name, function)
    try:
        report = bundles.ingest(name, environ=environ)
    finally:
        bundles.unregister(name)
    return report.symbols, report.rows


def folder_of(tmp_path):
    (tmp_path / "csvdir" / "daily").mkdir(parents=True)
    (tmp_path / "csvdir" / "daily" / "A.csv").write_text(DAY)
    return tmp_path / "csvdir"


@exercise("rustybt.data.bundles.csvdir.csvdir_equities")
def a_directory_is_registered_and_ingested(own_home, tmp_path):
    function = csvdir_equities(["daily"], str(folder_of(tmp_path)))
    assert ingested("mine", function, {}) == (("A",), 1)


@exercise("rustybt.data.bundles.csvdir.csvdir_bundle")
def a_function_of_ones_own_hands_its_arguments_on(own_home, tmp_path):
    def function(*arguments):
        csvdir_bundle(*arguments, tframes=["daily"])

    assert ingested("mine", function, {"CSVDIR": str(folder_of(tmp_path))}) == (("A",), 1)


@exercise("rustybt.data.bundles.quandl.quandl_bundle")
def a_table_of_wiki_prices_is_ingested(own_home, tmp_path):
    with zipfile.ZipFile(tmp_path / "WIKI.zip", "w") as archive:
        archive.writestr("WIKI.csv", WIKI)

    def function(*arguments):
        quandl_bundle(*arguments)

    assert ingested("mine", function, {"QUANDL_WIKI_PRICES": str(tmp_path / "WIKI.zip")}) == (("A",), 1)
