"""The vendor's stand-in, and sources that ask it."""

import pytest

from rustybt.data.sources.polygon import PolygonDataSource
from tests.data.adapters.massive.asking import QUICK
from tests.fakes import market
from tests.fakes.massive import KEY, MassiveServer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", KEY)
    with MassiveServer() as running:
        yield running


@pytest.fixture
def make(server):
    made = []

    def build(**options):
        given = {"base_url": server.url, "clock": lambda: market.NOW, "requests_per_minute": 0, "retry": QUICK}
        made.append(PolygonDataSource(**{**given, **options}))
        return made[-1]

    yield build
    for source in made:
        source.close()
