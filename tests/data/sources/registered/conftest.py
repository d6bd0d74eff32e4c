"""Bundles registered for one test, and what their functions are handed."""

import sys

import pandas as pd
import pytest

from rustybt.data.bundles import registration
from rustybt.data.sources.registered.source import RegisteredBundleSource

#: XNYS was open on these five days of January 2020; the 4th and 5th were a weekend.
DAYS = pd.DatetimeIndex(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08"])


def bars_of(closes, index=DAYS, volume=100):
    """A frame as Zipline's writers take it, a point around each close."""
    close = pd.Series(list(closes), index=index[: len(closes)], dtype="float64")
    return pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": volume})


def equities(symbols, **columns):
    """Sid -> symbol as an equities frame."""
    return pd.DataFrame({"symbol": list(symbols.values()), "exchange": "NYSE", **columns}, index=list(symbols))


@pytest.fixture
def define(monkeypatch):
    """Register a function that gets the writers by name; return a source of it."""
    made = []

    def _define(function, name="mine", source_options=None, **options):
        def ingest(
            environ,
            asset_db_writer,
            minute_bar_writer,
            daily_bar_writer,
            adjustment_writer,
            calendar,
            start_session,
            end_session,
            cache,
            show_progress,
            output_dir,
        ):
            given = {key: value for key, value in locals().items() if key != "function"}
            wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
            function(**{key: given[key] for key in wanted})

        registration.register(name, ingest, **options)
        made.append(name)
        source = RegisteredBundleSource(name, **(source_options or {}))
        made.append(source)
        return source

    yield _define
    for item in made:
        if isinstance(item, str):
            registration.unregister(item)
        else:
            item.close()
    assert not [name for name in sys.modules if name.partition(".")[0] == "zipline"]


@pytest.fixture
def extension(tmp_path):
    """Write an extension.py and return its path."""

    def _extension(text, name="extension.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _extension
