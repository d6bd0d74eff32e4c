"""How a vendor is reached: checked options, passwords never shown."""

import pytest

from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.adapters.transport import Transport
from rustybt.errors import RequestError

PASSWORD = "INVENTED-canary-password"


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("certificates")
    return path


def test_the_defaults_are_no_options():
    assert Transport.create().options() == {}
    assert Transport.create() == Transport()


def test_what_differs_from_the_defaults_is_told_and_a_proxy_without_its_password(pem):
    transport = Transport.create(
        "http://127.0.0.1:8080/", f"http://me:{PASSWORD}@proxy.test:3128", pem, timeout_seconds="500ms"
    )

    assert transport.options() == {
        "base_url": "http://127.0.0.1:8080",
        "proxy": "http://proxy.test:3128",
        "ca_bundle": str(pem),
        "timeout_seconds": 0.5,
    }
    assert transport.proxy == f"http://me:{PASSWORD}@proxy.test:3128"
    assert PASSWORD not in repr(transport) + str(transport) + repr(Connection(transport))


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"ftp://{PASSWORD}.test"},
        {"base_url": f"http://{PASSWORD}@127.0.0.1"},
        {"base_url": PASSWORD},
        {"proxy": f"{PASSWORD}:8080"},
        {"proxy": f"http://me:{PASSWORD}@host:none"},
        {"proxy": f"http://me:{PASSWORD}@[broken"},
        {"ca_bundle": "/does/not/exist.pem"},
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"timeout_seconds": "soon"},
        {"timeout_seconds": float("nan")},
    ],
)
def test_unusable_options_are_refused_without_repeating_what_may_be_a_password(options):
    with pytest.raises(RequestError) as caught:
        Transport.create(**options)

    assert PASSWORD not in str(caught.value)


def test_a_connection_overrides_limits_and_zero_is_no_limit():
    limits = VendorLimits(frequencies=("1d",), requests_per_minute=5, requests_per_day=25, parallel_requests=2)

    assert Connection().apply(limits) == limits
    changed = Connection(requests_per_minute=0, parallel_requests=9).apply(limits)
    assert (changed.requests_per_minute, changed.requests_per_day, changed.parallel_requests) == (None, None, 9)
    assert Connection(requests_per_minute=100).apply(limits).requests_per_minute == 100
