"""What is refused, what is never written down, and what the source says of itself."""

import logging
import subprocess
import sys
import traceback
from datetime import UTC, date, datetime
from email.utils import format_datetime

import pytest

from rustybt.data.adapters.massive.adapter import MassiveAdapter
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    MissingDependencyError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceError,
    SourceUnavailableError,
)
from tests.data.adapters.massive.asking import QUICK, series
from tests.fakes.massive import KEY, MassiveServer


class TestRefusals:
    def test_an_unknown_key_names_the_variable(self, make, server):
        server.key = "another-invented-key"
        with pytest.raises(AuthenticationError, match="Unknown API Key") as caught:
            make().fetch_sync("AAPL", "2024-01-02", "2024-01-31")
        assert "MASSIVE_API_KEY" in caught.value.hint
        assert len(server.requests) == 1

    def test_without_a_key_limits_are_known_and_a_fetch_says_what_to_set(self, make, server, monkeypatch):
        monkeypatch.delenv("MASSIVE_API_KEY")
        source = make(requests_per_minute=None)
        assert source.limits().requests_per_minute == 5
        assert source.limits().needs_key
        with pytest.raises(AuthenticationError, match="MASSIVE_API_KEY"):
            source.fetch_sync("AAPL", "2024-01-02", "2024-01-31")
        assert not server.requests

    def test_a_key_that_came_after_the_clients_import_is_used(self, make, server, monkeypatch):
        import massive

        assert massive.RESTClient
        monkeypatch.delenv("MASSIVE_API_KEY")
        monkeypatch.setenv("POLYGON_API_KEY", KEY)
        assert series(make()).bars.height
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"

    def test_the_newer_variable_wins(self, make, monkeypatch):
        monkeypatch.setenv("POLYGON_API_KEY", "invented-and-wrong")
        assert series(make()).bars.height

    def test_a_range_beyond_the_plan_says_so(self, make, server):
        server.oldest = date(2022, 11, 29)
        with pytest.raises(AuthenticationError, match="plan") as caught:
            make().fetch_sync("AAPL", "2014-01-02", "2024-01-31")
        assert "history_years" in caught.value.hint

    def test_a_plan_that_leaves_out_old_bars_without_a_word_is_noticed(self, make, server):
        server.oldest, server.refuses_older = date(2022, 11, 29), False
        with pytest.raises(NotCoveredError, match="2 years") as caught:
            series(make(), start=date(2014, 1, 2))
        assert "2022-11-29" in caught.value.hint
        assert series(make(), start=date(2022, 11, 29)).bars.height == 503

    def test_a_ticker_that_began_late_for_its_own_reasons_is_no_plans_fault(self, make, server):
        server.oldest, server.refuses_older = date(2022, 6, 9), False
        answer = series(make(), start=date(2014, 1, 2))
        assert answer.first_bar == date(2003, 9, 10)

    def test_a_plan_that_is_known_refuses_before_anything_is_asked(self, make, server):
        with pytest.raises(NotCoveredError):
            make(history_years="2").fetch_sync("AAPL", "2014-01-02", "2024-01-31")
        assert not server.requests

    @pytest.mark.parametrize("years", [0, -1, "two", 1_000])
    def test_a_plan_of_no_years_is_refused(self, years):
        with pytest.raises(RequestError):
            PolygonDataSource(history_years=years)

    def test_options_are_yes_or_no(self):
        with pytest.raises(RequestError, match="adjusted"):
            PolygonDataSource(adjusted="perhaps")

    def test_the_limit_of_the_plan_says_how_long_to_wait(self, make, server):
        server.fail("429", times=None, retry_after=37)
        with pytest.raises(RateLimitedError, match="exceeded the maximum requests") as caught:
            series(make())
        assert caught.value.retry_after_seconds == 37
        assert len(server.requests) == 1

    def test_a_date_to_wait_for_is_understood(self, make, server):
        then = format_datetime(datetime(2100, 1, 1, tzinfo=UTC), usegmt=True)
        server.fail("429", times=None, headers={"Retry-After": then})
        with pytest.raises(RateLimitedError) as caught:
            series(make())
        assert caught.value.retry_after_seconds > 1e9

    def test_the_clients_own_attempts_do_not_multiply_ours(self, make, server):
        server.fail("503", times=None)
        with pytest.raises(SourceUnavailableError):
            series(make())
        assert len(server.requests) == 3

    def test_a_refusal_with_status_200_is_a_refusal(self, make, server):
        server.fail("text", body='{"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}')
        with pytest.raises(AuthenticationError, match="entitled"):
            series(make())

    def test_a_request_that_the_vendor_does_not_understand_is_made_once(self, make, server):
        from aiohttp import web

        server.error_response = lambda status, headers: web.json_response({"error": "no such span"}, status=400)
        server.fail("500")
        with pytest.raises(SourceError, match="400: no such span"):
            series(make())
        assert len(server.requests) == 1

    def test_a_key_that_can_be_none_is_told_when_it_is_used(self, make, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", "two words")
        source = make()
        assert source.limits().bars_per_page == 50_000
        with pytest.raises(AuthenticationError, match="cannot be one"):
            series(source)

    def test_a_redirection_is_not_followed(self, make, server):
        from aiohttp import web

        def moved(status, headers):
            return web.Response(status=302, headers={"Location": f"{server.url}/v3/reference/tickers"})

        server.error_response = moved
        server.fail("500")
        with pytest.raises(SourceError, match="302"):
            series(make())
        assert len(server.requests) == 1

    def test_no_server_is_unavailable(self, make):
        with pytest.raises(SourceUnavailableError, match="could not be reached"):
            series(make(base_url="http://127.0.0.1:9"))

    def test_a_certificate_nobody_signed_is_refused(self, monkeypatch):
        monkeypatch.setenv("MASSIVE_API_KEY", KEY)
        with MassiveServer(tls=True) as server:
            source = PolygonDataSource(base_url=server.url, requests_per_minute=0, retry=QUICK)
            with pytest.raises(SourceUnavailableError, match="SSL"):
                series(source)
            source.close()
            assert not server.requests


class TestSecrets:
    CANARY = "canary-invented-key-4711-never-shown"

    @pytest.mark.parametrize("kind", ["401", "403", "404", "429", "500", "malformed", "cut", "reset", "slow", "echo"])
    def test_the_key_is_in_no_error_log_address_or_repr(self, server, make, monkeypatch, caplog, capfd, kind):
        monkeypatch.setenv("MASSIVE_API_KEY", self.CANARY)
        server.key = self.CANARY
        caplog.set_level(logging.DEBUG)
        source = make(timeout_seconds=0.2)
        if kind == "echo":
            said = '{"status": "ERROR", "error": "no: KEY at ?apiKey=KEY"}'
            server.fail("text", times=None, body=said.replace("KEY", self.CANARY))
        else:
            server.fail(kind, times=None, seconds=0.5)
        try:
            series(source)
            shown = ""
        except SourceError as error:
            shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            shown += repr(error) + str(error) + repr(error.details)
        streams = capfd.readouterr()
        shown += caplog.text + repr(source) + repr(source.adapter) + repr(source.adapter.__dict__) + streams.out
        shown += streams.err + repr(source.get_metadata()) + repr(source.options()) + source.adapter.throttle.account
        assert server.requests
        assert self.CANARY not in shown
        assert not [request for request in server.requests if self.CANARY in f"{request.path}{request.query}"]

    def test_a_key_in_the_address_of_a_page_is_not_repeated(self, server, make):
        server.page_size = 100

        def spoil(answer):
            if "next_url" in answer:
                answer["next_url"] += f"&apiKey={KEY}"

        server.spoil = spoil
        assert series(make()).bars.height == 230
        assert not [request for request in server.requests if KEY in str(request.query)]

    def test_the_client_writes_nothing_to_standard_output(self, server, make, capfd):
        server.fail("malformed", times=None)
        with pytest.raises(BadResponseError):
            series(make())
        logging.getLogger("RESTClient").error("a complaint of the client")
        assert capfd.readouterr().out == ""


class TestDescription:
    def test_metadata_names_the_vendor_the_client_and_the_adjustment(self):
        found = PolygonDataSource().get_metadata()
        assert found.source_url == "https://api.massive.com"
        assert found.api_version.startswith("massive 2.")
        assert (found.adjustment, found.feed, found.supports_live) == ("none", "sip", True)

    def test_only_options_that_differ_are_written_down(self):
        assert PolygonDataSource().options() == {}
        assert PolygonDataSource(adjusted="yes", history_years=5, live=True).options() == {
            "adjusted": True,
            "history_years": 5,
            "live": True,
        }

    def test_a_live_plan_has_final_bars_earlier(self):
        assert PolygonDataSource().limits().settlement_delay_seconds == 900
        assert PolygonDataSource(live="true").limits().settlement_delay_seconds == 60

    def test_limits_are_json_with_the_frequencies_that_are_native(self):
        assert PolygonDataSource().limits().to_json()["frequencies"] == ["1m", "5m", "15m", "30m", "1d", "1w", "1M"]
        assert "1h" in PolygonDataSource(extended_hours=True).limits().frequencies
        assert PolygonDataSource(history_years=2).limits().depth_days["1d"] == 730

    def test_nothing_is_asked_and_nothing_imported_before_it_is_needed(self):
        code = (
            "import sys; from rustybt.data.sources.polygon import PolygonDataSource as P; s = P(); s.limits();"
            "print('massive' in sys.modules, 'urllib3' in sys.modules)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["False", "False"]

    def test_without_the_vendors_package_the_command_that_helps_is_named(self, make, monkeypatch):
        monkeypatch.setitem(sys.modules, "massive", None)
        with pytest.raises(MissingDependencyError) as caught:
            series(make())
        assert caught.value.hint == "pip install 'rustybt[polygon]'"

    def test_an_exception_that_is_a_bug_stays_one(self, make):
        adapter = make().adapter
        assert isinstance(adapter, MassiveAdapter)
        assert adapter.map_error(ZeroDivisionError()) is None
