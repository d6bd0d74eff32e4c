"""What is tried again, how often, after which wait, and what is left of an error when it is shown."""

import asyncio
import time
import traceback

import pytest

from rustybt.data.adapters.base import BaseDataAdapter
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.credentials import Secret
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    MissingDependencyError,
    NotCoveredError,
    RateLimitedError,
    RequestError,
    SourceUnavailableError,
    SymbolNotFoundError,
)

KEY = "INVENTED-canary-key-0123456789"
QUICK = RetryPolicy(max_attempts=4, first_wait_seconds=0.001, max_wait_seconds=0.2)


class ClientError(Exception):
    """What a vendor's client raises."""


class Adapter(BaseDataAdapter):
    """Fails as it is told."""

    name = "acme"

    def __init__(self, policy=QUICK, **limits):
        super().__init__(
            Connection(retry=policy), VendorLimits(frequencies=("1d",), parallel_requests=1, **limits), "acme"
        )
        self.requests = 0
        self.waits = []
        self.throttle.on_wait = lambda seconds, text: self.waits.append(text)

    async def fetch_series(self, symbols, start, end, frequency):
        raise NotImplementedError

    def metadata(self):
        raise NotImplementedError

    def map_error(self, error):
        return SourceUnavailableError(f"acme does not answer: {error}") if isinstance(error, ClientError) else None

    def run(self, *outcomes, limit=10):
        """Let each request end like the next of `outcomes`, the last for ever."""

        async def request():
            outcome = outcomes[min(self.requests, len(outcomes) - 1)]
            self.requests += 1
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        return asyncio.run(asyncio.wait_for(self.call("AAPL 1d", request), limit))


def limited(seconds=None):
    details = {} if seconds is None else {"retry_after_seconds": seconds}
    return RateLimitedError("acme: too many requests", **details)


@pytest.mark.parametrize("failure", [SourceUnavailableError("down"), limited(), limited(0.01), BadResponseError("cut")])
def test_what_may_pass_is_tried_again(failure):
    adapter = Adapter()

    assert adapter.run(failure, failure, "bars") == "bars"
    assert adapter.requests == 3


@pytest.mark.parametrize(
    "failure",
    [
        AuthenticationError("no"),
        SymbolNotFoundError("no"),
        NotCoveredError("no"),
        RequestError("no"),
        MissingDependencyError("no"),
    ],
)
def test_what_stays_as_it_is_is_not_tried_again(failure):
    adapter = Adapter()

    with pytest.raises(type(failure)) as caught:
        adapter.run(failure)

    assert caught.value is failure
    assert adapter.requests == 1
    assert "attempts" not in str(caught.value)


def test_the_last_error_says_how_often_it_was_tried():
    adapter = Adapter()

    with pytest.raises(
        SourceUnavailableError, match=r"^acme does not answer: 503 \(after 4 attempts\)\n  hint: check the network"
    ) as caught:
        adapter.run(ClientError("503"))

    assert caught.value.attempts == 4
    assert adapter.requests == 4


def test_a_malformed_answer_is_asked_for_three_times():
    adapter = Adapter()

    with pytest.raises(BadResponseError, match="after 3 attempts"):
        adapter.run(BadResponseError("half of it"))

    assert adapter.requests == 3


def test_a_policy_of_one_attempt_tries_nothing_again():
    adapter = Adapter(RetryPolicy(max_attempts=1))

    with pytest.raises(BadResponseError, match=r"^half of it$"):
        adapter.run(BadResponseError("half of it"))

    assert adapter.requests == 1


def test_a_bug_is_raised_as_it_is_and_at_once():
    adapter, bug = Adapter(), KeyError("chart")

    with pytest.raises(KeyError) as caught:
        adapter.run(bug)

    assert caught.value is bug
    assert adapter.requests == 1


def test_a_vendor_that_asks_for_longer_than_is_waited_is_asked_no_more():
    adapter = Adapter()

    with pytest.raises(RateLimitedError, match=r"too many requests \(it asks to wait 60 min\)") as caught:
        adapter.run(limited(3_600))

    assert caught.value.retry_after_seconds == 3_600
    assert adapter.requests == 1


def test_what_the_vendor_asked_for_is_waited_for_also_by_others_of_the_account():
    first, second = Adapter(RetryPolicy(max_attempts=1)), Adapter()
    began = time.monotonic()
    with pytest.raises(RateLimitedError):
        first.run(limited(0.15))

    assert second.run("bars") == "bars"

    assert time.monotonic() - began >= 0.15


def test_the_others_of_the_account_make_no_request_while_the_vendor_wants_none():
    with pytest.raises(RateLimitedError):
        Adapter().run(limited(86_400))
    second = Adapter()

    with pytest.raises(RateLimitedError, match="acme asked to be left alone; the next request may go in 60 min"):
        second.run("bars")

    assert second.requests == 0


def test_a_503_that_says_when_to_come_back_is_obeyed_too():
    adapter = Adapter()
    began = time.monotonic()

    assert adapter.run(SourceUnavailableError("down", retry_after_seconds=0.1), "bars") == "bars"

    assert time.monotonic() - began >= 0.1


def test_a_rate_limit_without_a_time_says_when_to_try_again():
    with pytest.raises(RateLimitedError) as caught:
        Adapter().run(limited())

    assert 0 <= caught.value.retry_after_seconds <= 0.2


def test_waits_double_up_to_the_largest_and_differ():
    policy = RetryPolicy(first_wait_seconds=1, max_wait_seconds=10)

    for attempt, longest in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (50, 10), (5_000, 10)]:
        waits = [policy.wait_seconds(attempt) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_no_attempt_begins_when_the_time_for_all_of_them_is_over():
    adapter = Adapter(
        RetryPolicy(max_attempts=50, first_wait_seconds=0.02, max_wait_seconds=0.02, max_total_seconds=0.05)
    )

    with pytest.raises(SourceUnavailableError):
        adapter.run(ClientError("503"))

    assert 2 <= adapter.requests <= 6


def test_waiting_for_ones_turn_is_no_part_of_that_time():
    adapter = Adapter(RetryPolicy(max_attempts=2, first_wait_seconds=0.001, max_total_seconds=0.05))

    async def slow_turn():
        async def request():
            adapter.requests += 1
            if adapter.requests == 1:
                raise ClientError
            return "bars"

        async with adapter.throttle.slot():
            task = asyncio.create_task(adapter.call("AAPL 1d", request))
            await asyncio.sleep(0.1)
        return await task

    assert asyncio.run(slow_turn()) == "bars"


def test_a_cancelled_request_passes_at_once_and_gives_its_place_back():
    adapter = Adapter()

    async def run():
        async def forever():
            await asyncio.sleep(60)

        task = asyncio.create_task(adapter.call("AAPL 1d", forever))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1), adapter.throttle.slot():
            pass

    asyncio.run(run())


def test_the_place_is_free_while_a_failed_request_waits_for_its_next_attempt():
    adapter = Adapter(RetryPolicy(max_attempts=2, first_wait_seconds=0.2, max_wait_seconds=0.2))
    order = []

    async def run():
        async def failing():
            order.append("failing")
            if len(order) == 1:
                raise ClientError
            return "bars"

        async def other():
            order.append("other")

        await asyncio.gather(adapter.call("A", failing), adapter.call("B", other))

    asyncio.run(run())

    assert order == ["failing", "other", "failing"]


def test_a_long_wait_is_told_with_the_attempt_and_without_the_address():
    adapter = Adapter(RetryPolicy(max_attempts=2, first_wait_seconds=4, max_wait_seconds=4))

    async def impatient():
        async def request():
            raise ClientError

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(adapter.call("AAPL 1d", request), 0.05)

    asyncio.run(impatient())

    (told,) = adapter.waits
    assert told.startswith("waiting ")
    assert told.endswith(" s: acme does not answer AAPL 1d, attempt 2 of 2")


@pytest.mark.parametrize("in_details", [False, True])
def test_no_key_is_in_the_error_its_hint_its_details_its_traceback_or_the_log(in_details, caplog):
    Secret(KEY)
    client = ClientError(f"GET https://api.acme.test/v1?symbol=AAPL&apikey={KEY} failed")

    class Careless(Adapter):
        def map_error(self, error):
            mapped = AuthenticationError(
                f"{error}", hint=f"is {KEY} your key?", url=f"{error}" if in_details else "", count=3
            )
            mapped.__cause__ = error
            return mapped

    with caplog.at_level("DEBUG"), pytest.raises(AuthenticationError) as caught:
        Careless().run(client)

    last = caught.tb
    while last.tb_next is not None:
        last = last.tb_next
    # Error trackers record variables: those of the frame that raised; the frames above are this test's own.
    shown = repr(last.tb_frame.f_locals) + "".join(traceback.format_exception(caught.value))
    assert last.tb_frame.f_code.co_name == "call_with_retries"
    logged = "".join(str(record.__dict__) for record in caplog.records)
    for text in (shown, str(caught.value), repr(caught.value), str(caught.value.details), logged):
        assert KEY not in text
    assert "AAPL" in str(caught.value)
    assert caught.value.details["count"] == 3
    assert "request_failed" in logged


def test_an_error_of_ours_raised_from_the_clients_is_cut_off_from_it():
    async def request():
        try:
            raise ClientError(f"https://user:{KEY}@proxy.test/")
        except ClientError as error:
            raise BadResponseError("it is half of a page") from error

    adapter = Adapter(RetryPolicy(max_attempts=1))
    with pytest.raises(BadResponseError) as caught:
        asyncio.run(adapter.call("AAPL 1d", request))

    frames = traceback.walk_tb(caught.value.__traceback__)
    names = [frame.f_code.co_name for frame, _ in frames]
    assert names[-1] == "call_with_retries"
    assert "request" not in names
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
