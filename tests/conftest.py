"""What tests of several folders share: a home of their own, and small markets written by hand."""

import os
from datetime import date
from decimal import Decimal
from importlib.util import find_spec

import polars as pl
import pytest
from hypothesis import settings

from rustybt.data.adapters import redaction
from rustybt.data.bundles import file_reader
from rustybt.data.bundles.store import BundleStore
from rustybt.data.portal import MemoryBars
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.calendars import get_calendar

# Collected only where there is bcolz: the newest Python has no wheels of it.
collect_ignore_glob = (
    []
    if find_spec("bcolz")
    else [
        "cli/test_export_zipline.py",
        "cli/test_import_zipline.py",
        "data/bundles/zipline_export",
        "data/sources/zipline",
        "oracle/test_exported.py",
    ]
)

# A machine that gates changes tries the same examples each time; a developer's tries new ones.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("gate" if os.environ.get("CI") else "search")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Point RustyBT at an empty folder, and away from the user's settings."""
    for name in [name for name in os.environ if name.startswith("RUSTYBT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("rustybt")
    monkeypatch.setenv("RUSTYBT_HOME", str(folder / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(folder / "config.toml"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    # Keys of one test are ordinary words to the next.
    monkeypatch.setattr(redaction, "_known", set())
    return folder / "home"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def store(home):
    with BundleStore(home) as opened:
        yield opened


@pytest.fixture(autouse=True)
def unverified(monkeypatch):
    """Let every test read its files as a new process would."""
    monkeypatch.setattr(file_reader, "_verified", {})


@pytest.fixture
def make_bars():
    """Return a builder of bars: closes by symbol on successive sessions, None where a session has no bar."""

    def build(
        closes, start=date(2020, 1, 2), volume=1_000_000, calendar="XNYS", basis="raw", actions=(), attributes=None
    ):
        length = max(len(values) for values in closes.values())
        found = get_calendar(calendar, start, date(start.year + 2, 12, 31))
        sessions = [s.item() for s in found.sessions_between(start, date(start.year + 2, 12, 31))[:length]]
        rows = []
        for symbol, values in sorted(closes.items()):
            for i, close in enumerate(values):
                if close is None:
                    continue
                price = Decimal(str(close))
                traded = volume[symbol][i] if isinstance(volume, dict) else volume
                rows.append((sessions[i], symbol, price, price + 1, price - 1, price, Decimal(str(traded))))
        frame = pl.DataFrame(
            rows, schema=["timestamp", "symbol", "open", "high", "low", "close", "volume"], orient="row"
        ).with_columns(pl.col("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        return MemoryBars(
            frame.cast(dict(BAR_SCHEMA)),
            actions=actions,
            price_basis=basis,
            calendar_name=calendar,
            attributes=attributes,
        )

    return build
