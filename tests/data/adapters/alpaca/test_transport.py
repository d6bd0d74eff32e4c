"""Proxies, certificates, hosts and clients."""

import pytest

from rustybt.data.adapters.alpaca import client as alpaca_client
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from tests.data.adapters.alpaca.asking import fetch, rows_of
from tests.fakes.alpaca import KEY_ID, SECRET, AlpacaServer


def test_the_options_win_over_the_environment(make, monkeypatch, tmp_path):
    # requests would take these for every call.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with AlpacaServer(tls=True, proxy=True) as server:
        adapter = make(server, Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle, timeout_seconds=5.0))
        assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4


@pytest.mark.parametrize(
    ("key", "host"), [("PKINVENTED", "paper-api.alpaca.markets"), ("AKINVENTED", "api.alpaca.markets")]
)
def test_keys_of_paper_accounts_ask_the_paper_host_for_the_list(make, monkeypatch, key, host):
    monkeypatch.setenv("APCA_API_KEY_ID", key)
    with AlpacaServer(tls=True, proxy=True, key_id=key) as server:
        adapter = make(server, Transport(proxy=server.proxy_url, ca_bundle=server.ca_bundle, timeout_seconds=5.0))
        assert fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"].attributes.venue == "XNAS"
        hosts = {request.path: request.host for request in server.requests}
        assert hosts == {
            "/v2/stocks/bars": "data.alpaca.markets",
            "/v1/corporate-actions": "data.alpaca.markets",
            "/v2/assets": host,
        }


@pytest.mark.parametrize("as_function", [True, False])
def test_a_client_of_the_callers_is_used(server, make, as_function):
    alpaca_client.import_alpaca()
    from alpaca.data.historical import StockHistoricalDataClient

    client = StockHistoricalDataClient(KEY_ID, SECRET, url_override=server.url)
    adapter = make(server, client=(lambda: client) if as_function else client)
    assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4
    client._session.close()


def test_an_adapter_can_be_used_after_it_was_closed(server, make):
    adapter = make(server)
    fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")
    bridge.run(adapter.close())
    assert len(rows_of(fetch(adapter, ["AAPL"], "2024-01-02", "2024-01-05")["AAPL"])) == 4
