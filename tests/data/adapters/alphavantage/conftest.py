"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.adapters.alphavantage.adapter import AlphaVantageAdapter
from tests.data.adapters.alphavantage.asking import QUICK
from tests.data.adapters.making import maker_of
from tests.fakes.alphavantage import KEY, AlphaVantageServer


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", KEY)


@pytest.fixture
def server():
    with AlphaVantageServer() as running:
        yield running


@pytest.fixture
def make():
    with maker_of(AlphaVantageAdapter, QUICK) as build:
        yield build
