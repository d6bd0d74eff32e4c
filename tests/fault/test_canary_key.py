"""A key that stands out, and a search for it in everything a run leaves behind: no byte of it may be found."""

import base64
import html
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.fakes.alpaca import AlpacaServer
from tests.fakes.alphavantage import AlphaVantageServer
from tests.fakes.massive import MassiveServer

WORKER = Path(__file__).with_name("canary_worker.py")
ROOT = Path(__file__).parents[2]
#: With characters that addresses and JSON write differently.
CANARY = "INVENTED/canary+0123456789=never&shown"
SECOND = "INVENTED/second+9876543210=never&shown"
VENDORS = {
    "polygon": (lambda: MassiveServer(key=CANARY), {"MASSIVE_API_KEY": CANARY}),
    "alpaca": (
        lambda: AlpacaServer(key_id=CANARY, secret=SECOND),
        {"APCA_API_KEY_ID": CANARY, "APCA_API_SECRET_KEY": SECOND},
    ),
    "alphavantage": (lambda: AlphaVantageServer(key=CANARY), {"ALPHAVANTAGE_API_KEY": CANARY}),
}


def shapes(key):
    """Return every form in which a key may show, and its beginning, which stands in for a part of it."""
    encoded = base64.b64encode(key.encode()).decode().rstrip("=")
    texts = {
        key,
        key[:20],
        quote(key),
        quote(key, safe=""),
        quote_plus(key),
        quote(key, safe="").lower(),
        html.escape(key),
        json.dumps(key)[1:-1],
        repr(key)[1:-1],
        encoded,
        encoded.replace("+", "-").replace("/", "_"),
        key.encode().hex(),
        key[::-1],
    }
    return [text.encode() for text in texts]


def leaks(folder, texts):
    """Return where a key was found, with its surroundings."""
    found = []
    contents = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    names = {f"name of {path}": str(path).encode() for path in folder.rglob("*")}
    for place, content in {**contents, **names, **texts}.items():
        for shape in {shape for key in (CANARY, SECOND) for shape in shapes(key)}:
            at = content.find(shape)
            if at >= 0:
                found.append((place, shape, content[max(0, at - 200) : at + 80]))
    return found


@contextmanager
def running(tmp_path, vendor, address, keys):
    """Start the worker; its streams go to files."""
    name = vendor.upper()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("RUSTYBT_")},
        **keys,
        "RUSTYBT_HOME": str(tmp_path / "home"),
        "RUSTYBT_CONFIG_FILE": str(tmp_path / "config.toml"),
        "RUSTYBT_LOG_LEVEL": "DEBUG",
        "RUSTYBT_LOG_FORMAT": "json",
        f"RUSTYBT_SOURCES_{name}_BASE_URL": address,
        f"RUSTYBT_SOURCES_{name}_REQUESTS_PER_MINUTE": "0",
        f"RUSTYBT_SOURCES_{name}_MAX_ATTEMPTS": "2",
        f"RUSTYBT_SOURCES_{name}_TIMEOUT_SECONDS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONDEVMODE": "",
    }
    with (tmp_path / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(WORKER), vendor, "{}"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        said = []

        def tell(what):
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
            for line in process.stdout:
                said.append(line)
                if line.startswith("done "):
                    return
            raise AssertionError((tmp_path / "stderr").read_text()[-2_000:])

        try:
            yield tell, said
        finally:
            process.stdin.close()
            said.append(process.stdout.read())
            process.stdout.close()
            process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_key_is_in_anything_that_a_run_leaves_behind(vendor, tmp_path):
    make, keys = VENDORS[vendor]
    with make() as server:
        with running(tmp_path, vendor, server.url, keys) as (tell, said):
            tell("ingest")
            for kind in ("401", "403", "429", "503", "malformed", "cut", "reset", "slow"):
                server.fail(kind, times=None, seconds=1.3)
                tell("ingest")
                server.heal()
            for body in (
                f'{{"error": "the key {CANARY} of ?apikey={quote_plus(CANARY)} is wrong"}}',
                CANARY,
                f'"{SECOND}"',
            ):
                server.fail("text", times=None, body=body)
                tell("ingest")
                tell("describe")
                server.heal()
            tell("describe")
            tell("commands")
            served = list(server.requests)
        with running(tmp_path, vendor, "http://127.0.0.1:9", keys) as (tell, again):
            tell("ingest")
            tell("describe")

    # Without this the search would prove nothing: the key was in use, and bars arrived.
    asked = "".join(f"{request.query} {dict(request.headers)}" for request in served)
    assert all(key in asked for key in keys.values())
    assert any("content  sha256:" in line for line in said)
    assert (tmp_path / "home" / ".rustybt").is_dir()
    texts = {"stdout": "".join(said + again).encode()}
    found = leaks(tmp_path, texts)
    assert not found, "\n".join(f"{place}: {shape!r} in {around!r}" for place, shape, around in found[:8])


def test_the_search_finds_a_key_in_every_form(tmp_path):
    for at, shape in enumerate(shapes(CANARY)):
        (tmp_path / f"{at}.bin").write_bytes(b"\0\xff" + shape + b"\0")

    assert len({place for place, _, _ in leaks(tmp_path, {})}) == len(shapes(CANARY))
