"""What a CSV source tells of itself: options, provenance, plan, progress."""

import gzip
import hashlib
import json

import polars as pl

from rustybt.data.sources import CSVDataSource, get_source, source_from_provenance
from tests.data.sources.csv_texts import DAY2, HEADER


def test_the_provenance_names_the_file_with_its_hash_and_is_enough_to_run_again(write, store):
    path = write("A.csv", "Day,open,high,low,close,volume\n02/01/2020,10,11,9,10.5,100\n")
    actions = write("actions.csv", "symbol,kind,ex_date,ratio\nA,split,2020-01-02,2:1\n")
    source = CSVDataSource(
        path, column_map={"timestamp": "Day"}, date_format="dmy", timezone="Europe/Berlin", actions=actions
    )
    source.ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        provenance = bundle.provenance
    assert provenance.number_rule == "text"
    assert provenance.source_url == str(path)
    assert provenance.timezone == "Europe/Berlin"
    assert provenance.files == {"A.csv": hashlib.sha256(path.read_bytes()).hexdigest()}
    again = source_from_provenance(provenance)
    assert again.options() == source.options()
    assert again.ingest_to_bundle("us", store=store).unchanged


def test_the_hash_of_a_packed_file_is_of_its_own_bytes(write, store):
    path = write("all.csv.gz", gzip.compress(("symbol," + HEADER + "A," + DAY2).encode()) + b"\0" * 64)
    CSVDataSource(path).ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        assert bundle.provenance.files == {"all.csv.gz": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_options_that_were_not_given_are_not_recorded(write):
    path = write("A.csv")
    assert CSVDataSource(path).options() == {"path": str(path)}
    assert json.dumps(CSVDataSource(path, asset_type="crypto", skip_lines="0").options())


def test_a_relative_path_is_recorded_whole(write, tmp_path, monkeypatch):
    write("A.csv")
    monkeypatch.chdir(tmp_path)
    assert CSVDataSource("A.csv").options()["path"] == str(tmp_path / "A.csv")


def test_a_source_shows_its_options():
    assert repr(CSVDataSource("/prices", currency="EUR")).endswith("currency='EUR')")


def test_a_source_reads_through_the_registry_with_text_options(write):
    source = get_source("csv", path=str(write("A.csv", "x\n" + HEADER + DAY2)), skip_lines="1", max_field_bytes="1000")
    assert isinstance(source.fetch_sync("A"), pl.DataFrame)
    assert not source.supports_live()


def test_a_plan_names_files_symbols_and_what_will_fail(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "")
    plan = get_source("csv", path=str(tmp_path / "d")).plan(None, "2020-01-01", "2020-01-31")
    assert plan.symbols == ("A",)
    assert plan.files == ("A.csv", "B.csv")
    assert dict(plan.failures) == {"B": "B.csv is empty"}
    assert plan.size_bytes == len(HEADER + DAY2)
    assert plan.to_json()["failures"] == {"B": "B.csv is empty"}


def test_a_plan_reads_the_symbols_of_a_column(write):
    path = write("all.csv", "symbol," + HEADER + "A," + DAY2 + "B," + DAY2)
    assert CSVDataSource(path).plan(["B", "C"]).symbols == ("B",)


def test_progress_tells_the_bytes_read(write, store):
    seen = []
    path = write("A.csv")
    CSVDataSource(path).ingest_to_bundle("us", store=store, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("read", path.stat().st_size, path.stat().st_size)
