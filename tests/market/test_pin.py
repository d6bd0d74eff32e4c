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


def test_a_pin_of_several_bundles_names_them_all_and_survives_json():
    crypto = Pin("crypto", 5, "sha256:77aa", "24/7")
    joined = Pin.joined([PIN, crypto])
    assert (joined.bundle, joined.version, joined.reference) == ("us+crypto", 0, "us@3+crypto@5")
    # printf '3f9c\\n77aa' | sha256sum
    assert joined.content_hash == "609571388a5553873e671b60e1bdcce924d49451857e3ad4207ba8b9271ace62"
    assert joined.bundles == (PIN, crypto)
    assert Pin.from_json(json.loads(json.dumps(joined.to_json()))) == joined
    assert Pin.joined([crypto, PIN]).content_hash != joined.content_hash


def test_a_pin_of_one_bundle_is_written_as_earlier_versions_wrote_it():
    assert "parts" not in PIN.to_json()
    assert PIN.bundles == (PIN,)
