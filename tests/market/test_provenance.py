import json

import pytest

from rustybt.market.provenance import Provenance, SourceMetadata


def test_a_record_reads_as_a_mapping():
    metadata = SourceMetadata("csv", supports_live=False)
    assert metadata["source_type"] == metadata.source_type == "csv"
    assert dict(metadata)["timezone"] == "UTC"
    assert len(metadata) == len(list(metadata))
    assert metadata.get("nothing", 5) == 5
    with pytest.raises(KeyError):
        metadata["to_json"]


def test_provenance_survives_json_and_a_newer_version():
    given = Provenance(
        "csv", symbols=("A", "B"), options={"timezone": "UTC"}, files={"a.csv": "00ff"}, number_rule="text"
    )
    data = json.loads(json.dumps(given.to_json()))
    assert Provenance.from_json(data) == given
    assert Provenance.from_json({**data, "from_the_future": 1}) == given
