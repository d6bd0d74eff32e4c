import json

import pytest

from rustybt.errors import RequestError
from rustybt.market.pin import Pin

PIN = Pin("us", 3, "3f9c", "XNYS", "aa", "4.13", "2020-01-02", "2020-12-31", "raw", "1.0", "1d")


def test_a_pin_survives_json_and_a_newer_version():
    data = json.loads(json.dumps(PIN.to_json()))
    assert Pin.from_json(data) == PIN
    assert Pin.from_json({**data, "from_the_future": 1}) == PIN


def test_a_pin_names_its_version():
    assert PIN.reference == "us@3"


def test_differences_are_named_with_both_values():
    other = Pin.from_json({**PIN.to_json(), "version": 4, "content_hash": "77"})
    assert PIN.differences(other) == {"version": (3, 4), "content_hash": ("3f9c", "77")}
    assert PIN.differences(PIN) == {}


def test_what_is_no_pin_is_refused():
    with pytest.raises(RequestError, match="version, content_hash missing"):
        Pin.from_json({"bundle": "us"})
