"""What a home holds, seen from outside: bundles of its own before a migration, and its bytes."""

import sqlite3
from contextlib import closing

from tests.migration.snapshot import contents
from tests.migration.truth import DATABASE

#: What comes and goes with whoever uses a home, and where backups lie.
PASSING = (".rustybt/metadata.lock", ".rustybt/locks", ".rustybt/leases", ".rustybt/backups", ".rustybt/throttle")

#: SHA-256 of no bytes.
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

US = "symbol,date,open,high,low,close,volume\nAAPL,2024-01-02,187.15,188.44,183.885,185.64,82488700\n"


def add_native(rustybt, folder, name="native"):
    """Ingest one bar into a bundle of the configured home."""
    path = folder / f"{name}.csv"
    path.write_text(US)
    status, out, err = rustybt("ingest", "csv", "--path", path, "--bundle", name)
    assert status == 0, out + err


def settle(home):
    """Fold the log of the home's database in: its bytes then say all that it does."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def bytes_of(home):
    """Return {file: SHA-256} of a home, {} where there is none: without what comes and goes, the index of the database's log,
    and the log itself while it is empty."""
    found = contents(home, without=PASSING)
    index, log = ".rustybt/metadata.sqlite-shm", ".rustybt/metadata.sqlite-wal"
    said_nothing = {index} | ({log} if found.get(log, ("", ""))[1] == NOTHING else set())
    return {path: said for path, said in found.items() if said[0] != "folder" and path not in said_nothing}


def as_text(document):
    """Return all text of a JSON document in one string: what is told must be somewhere."""
    if isinstance(document, dict):
        return "\n".join(f"{key}\n{as_text(value)}" for key, value in document.items())
    if isinstance(document, list):
        return "\n".join(map(as_text, document))
    return str(document)
