"""The vendor's stand-in, and adapters that ask it."""

import pytest

from rustybt.data.adapters.alpaca.adapter import AlpacaAdapter
from tests.data.adapters.alpaca.asking import QUICK
from tests.data.adapters.making import maker_of
from tests.fakes.alpaca import KEY_ID, SECRET, AlpacaServer


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)


@pytest.fixture
def server():
    with AlpacaServer() as running:
        yield running


@pytest.fixture
def make():
    with maker_of(AlpacaAdapter, QUICK) as build:
        yield build
