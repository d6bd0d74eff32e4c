"""yfinance's client: proxies, sessions, and what it leaves behind."""

import subprocess
import sys
import traceback
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from rustybt.data.sources import bridge
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import MissingDependencyError, RequestError, SourceUnavailableError, SymbolNotFoundError
from tests.data.adapters.yahoo.asking import ask, paths
from tests.fakes import market
from tests.fakes.yahoo import YahooServer


def test_two_sources_go_through_two_proxies_and_leave_yfinances_own_alone():
    import yfinance

    before = yfinance.config.network.proxy
    yfinance.config.network.proxy = "http://127.0.0.1:9"  # nobody listens there
    try:
        with YahooServer(tls=True, proxy=True) as one, YahooServer(tls=True, proxy=True) as two:
            for server, symbol in ((one, "AAPL"), (two, "MSFT"), (one, "SPY")):
                source = YFinanceDataSource(
                    proxy=server.proxy_url, ca_bundle=server.ca_bundle, clock=lambda: market.NOW
                )
                assert source.fetch_sync([symbol], "2024-11-04", "2024-11-08").height == 5
                source.close()
            assert [request.path[-4:] for request in one.data_requests()] == ["AAPL", "/SPY"]
            assert [request.path[-4:] for request in two.data_requests()] == ["MSFT"]
            hosts = {request.host for request in one.requests}
            assert hosts == {"fc.yahoo.com", "query1.finance.yahoo.com", "query2.finance.yahoo.com"}
            # The cookie of one host reaches the others, and both need what it leads to.
            assert "A3=" in one.data_requests()[0].headers["Cookie"]
        assert yfinance.config.network.proxy == "http://127.0.0.1:9"
    finally:
        yfinance.config.network.proxy = before


def test_a_session_of_ones_own_is_used_and_not_closed(connect, server):
    from curl_cffi.requests import Session

    with YahooServer(tls=True, proxy=True) as real:
        proxies = {"http": real.proxy_url, "https": real.proxy_url}
        with Session(impersonate="chrome", verify=real.ca_bundle, proxies=proxies) as session:
            adapter = connect(base_url=None, client=lambda: session)
            assert ask(adapter, "AAPL", "2024-11-04", "2024-11-08").bars.height == 5
            assert type(ask(adapter, "NOSUCH", "2024-11-04", "2024-11-08")) is SymbolNotFoundError
            real.fail("503", times=None)
            with pytest.raises(SourceUnavailableError):
                ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
            bridge.run(adapter.close())
            real.heal()
            assert session.get("https://query2.finance.yahoo.com/v1/test/getcrumb").status_code == 200


def test_what_is_no_session_is_refused(connect):
    with pytest.raises(RequestError, match="session"):
        ask(connect(client=object()), "AAPL", "2024-11-04", "2024-11-08")


def test_a_closed_adapter_opens_again(connect, server):
    adapter = connect()
    ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
    bridge.run(adapter.close())
    bridge.run(adapter.close())
    assert ask(adapter, "AAPL", "2024-11-04", "2024-11-08").bars.height == 5
    assert paths(server).count("/v1/test/getcrumb") == 2


def test_a_missing_yfinance_names_the_command(connect, monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance.data", None)
    with pytest.raises(MissingDependencyError) as caught:
        ask(connect(), "AAPL", "2024-11-04", "2024-11-08")
    assert 'pip install "rustybt[yfinance]"' in caught.value.hint


def test_a_certificate_that_is_not_trusted_names_the_option(connect):
    with YahooServer(tls=True) as other, pytest.raises(SourceUnavailableError) as caught:
        ask(connect(base_url=other.url), "AAPL", "2024-11-04", "2024-11-08")
    assert "--ca-bundle" in caught.value.hint


def test_a_proxy_that_is_not_there_is_not_shown_with_its_password(connect):
    adapter = connect(base_url=None, proxy="http://user:invented-canary@127.0.0.1:9")
    with pytest.raises(SourceUnavailableError) as caught:
        ask(adapter, "AAPL", "2024-11-04", "2024-11-08")
    shown = "".join(traceback.format_exception(caught.value))
    assert "invented-canary" not in shown
    assert "invented-canary" not in repr(adapter.connection)


def test_what_is_recorded_names_the_client_and_the_basis(connect, server):
    found = connect().metadata()
    assert found.source_type == "yfinance"
    assert found.source_url == server.url
    assert found.adjustment == "split_adjusted"
    assert found.api_version.startswith("v8 (yfinance 1.")


@pytest.mark.timeout(120)
def test_nothing_is_imported_before_it_is_used_and_nothing_is_left_in_the_users_cache(server, tmp_path):
    script = f"""
import sys
from rustybt.data.sources.yfinance import YFinanceDataSource
source = YFinanceDataSource(base_url={server.url!r}, clock=lambda: {market.NOW})
assert source.get_metadata().source_type == "yfinance"
assert not {{"yfinance", "curl_cffi", "requests"}} & set(sys.modules)
assert source.fetch_sync(["AAPL"], "2024-11-04", "2024-11-08").height == 5
assert "yfinance" in sys.modules
source.close()
"""
    folders = {name: str(tmp_path / name) for name in ("HOME", "XDG_CACHE_HOME", "RUSTYBT_HOME")}
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", script],
        env={"PATH": "", **folders},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    left = [path for name in ("HOME", "XDG_CACHE_HOME") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("symbol", ["^GSPC", "EURUSD=X", "M&M.NS", "A/B", "A?B=C", "A#B", "A B", "100%", "ÅÄ.ST"])
def test_whatever_is_typed_is_asked_for_as_one_ticker(connect, server, symbol):
    assert type(ask(connect(), symbol, "2024-11-04", "2024-11-08")) is SymbolNotFoundError
    # The path arrives decoded; a ticker with a slash is no ticker of Yahoo's, and must not reach another address.
    assert server.data_requests()[-1].path == f"/v8/finance/chart/{symbol}"
    assert server.data_requests()[-1].query["interval"] == "1d"


@pytest.mark.parametrize(
    "zone", ["Pacific/Honolulu", "America/New_York", "Europe/London", "Asia/Tokyo", "Pacific/Auckland"]
)
@pytest.mark.parametrize("month", [1, 7])
def test_weeks_and_months_are_asked_for_from_a_monday_and_a_first_everywhere(connect, server, zone, month):
    adapter = connect()
    asked = {}
    for frequency in ("1w", "1M"):
        ask(adapter, "SPY", f"2024-0{month}-17", "2024-09-30", frequency)
        stamp = int(server.data_requests()[-1].query["period1"])
        asked[frequency] = datetime.fromtimestamp(stamp, ZoneInfo(zone)).date()
    assert asked["1w"].weekday() == 0
    assert asked["1M"].day == 1
    # One earlier than the first that is wanted, which is whole then.
    assert 7 <= (date(2024, month, 17) - asked["1w"]).days < 14
    assert (date(2024, month, 1) - asked["1M"]).days >= 28


def test_warnings_of_the_client_go_nowhere_when_nobody_asked_for_them():
    # A port where nobody listens: yfinance warns that it goes on without a cookie, we say the same as an error.
    code = (
        "import rustybt as rb\n"
        "source = rb.get_source('yfinance', proxy='http://127.0.0.1:9', max_attempts=1)\n"
        "try: source.fetch_sync('AAPL', '2024-01-02', '2024-01-05')\n"
        "except rb.errors.SourceUnavailableError as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("check the network, and --proxy or --base-url")
