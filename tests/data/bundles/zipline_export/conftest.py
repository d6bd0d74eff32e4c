"""Bundles written by hand, exported, and read back by bcolz and sqlite3 alone."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from rustybt.data.bundles.zipline_export import export_zipline
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

FIELDS = ("open", "high", "low", "close", "volume")
SAID = Provenance("test")
TODAY = date(2024, 6, 3)


def _table(folder):
    import bcolz  # not where this file is only looked at: the newest Python has no bcolz

    return bcolz.ctable(rootdir=str(folder), mode="r")


def day_of(seconds):
    return str(datetime.fromtimestamp(seconds, UTC).date())


@dataclass
class Ingestion:
    """An exported ingestion as its files say it is; nothing of rustybt reads it."""

    done: object

    @property
    def folder(self):
        return Path(self.done.written[0]).parent

    @property
    def notes(self):
        return "\n".join(self.done.notes)

    def rows(self, file, query):
        (path,) = self.folder.glob(file)
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(query).fetchall()

    @property
    def sids(self):
        return dict(self.rows("assets-7.sqlite", "SELECT symbol, sid FROM equity_symbol_mappings"))

    @property
    def attributes(self):
        return _table(self.folder / "daily_equities.bcolz").attrs

    def days(self, symbol):
        """Return {day: [open, high, low, close, volume]} of all rows, padding included."""
        table = _table(self.folder / "daily_equities.bcolz")
        key = str(self.sids[symbol])
        part = slice(table.attrs["first_row"][key], table.attrs["last_row"][key] + 1)
        assert set(table["id"][part].tolist()) == {int(key)}
        columns = [table[name][part].tolist() for name in FIELDS]
        return {day_of(at): list(row) for at, *row in zip(table["day"][part].tolist(), *columns, strict=True)}

    @property
    def described(self):
        return json.loads((self.folder / "minute_equities.bcolz" / "metadata.json").read_text())

    def minutes(self, symbol):
        """Return the table of an asset as rows of numbers."""
        padded = f"{self.sids[symbol]:06}"
        path = self.folder / "minute_equities.bcolz" / padded[:2] / padded[2:4] / f"{padded}.bcolz"
        table = _table(path)
        return np.stack([table[name][:] for name in FIELDS], axis=1).tolist()


@pytest.fixture
def commit(store):
    """Write bars of one frequency into the bundle b."""

    def write(rows, frequency="1d", **more):
        more.setdefault("calendar", "XNYS")
        return store.commit("b", frame_of_bars(rows), SAID, frequency=frequency, **more)

    return write


@pytest.fixture
def export(store, tmp_path):
    """Export the bundle b and return what lies there."""

    def write(root="root", today=TODAY):
        with store.open("b") as bundle:
            return Ingestion(export_zipline(bundle, tmp_path / root, today=today))

    return write
