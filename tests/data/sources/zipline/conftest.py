"""The bundle that zipline-reloaded wrote, what its own readers say of it, and files of other shapes."""

import json
from types import SimpleNamespace

import pytest

from rustybt.data.sources.zipline.source import ZiplineDataSource
from tests.oracle import zipline_bundle


@pytest.fixture(scope="session")
def oracle():
    """The module that made the fixture, with what its readers said as `said`."""
    said = json.loads(zipline_bundle.GOLDEN.read_text())
    return SimpleNamespace(module=zipline_bundle, said=said, name=zipline_bundle.NAME)


@pytest.fixture
def root(oracle, tmp_path, monkeypatch):
    """A ZIPLINE_ROOT of this test's own, which the environment names."""
    found = oracle.module.unpack(tmp_path / "unpacked")
    monkeypatch.setenv("ZIPLINE_ROOT", str(found))
    return found


@pytest.fixture
def folder(root, oracle):
    """The folder of the ingestion."""
    return root / "data" / oracle.name / oracle.module.INGESTION


@pytest.fixture
def source(root, oracle):
    return ZiplineDataSource(oracle.name)


@pytest.fixture
def symbol_of():
    """The symbol that each sid of the fixture has in a bundle."""
    return {1: "AAA", 2: "NEWN", 3: "REU.2016", 4: "REU", 5: "SPL", 6: "BIG", 7: "PNY", 123456: "DLS"}
