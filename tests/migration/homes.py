"""What a home holds, seen from outside: bundles of its own before a migration, and its bytes."""

from tests.migration.snapshot import contents

#: What comes and goes with whoever uses a home, and where backups lie.
PASSING = (".rustybt/metadata.lock", ".rustybt/locks", ".rustybt/leases", ".rustybt/backups", ".rustybt/throttle")

US = "symbol,date,open,high,low,close,volume\nAAPL,2024-01-02,187.15,188.44,183.885,185.64,82488700\n"


def add_native(rustybt, folder, name="native"):
    """Ingest one bar into a bundle of the configured home."""
    path = folder / f"{name}.csv"
    path.write_text(US)
    status, out, err = rustybt("ingest", "csv", "--path", path, "--bundle", name)
    assert status == 0, out + err


def bytes_of(home):
    """Return {file: SHA-256} of a home, without what comes and goes; {} where there is none."""
    return {path: said for path, said in contents(home, without=PASSING).items() if said[0] != "folder"}


def as_text(document):
    """Return all text of a JSON document in one string: what is told must be somewhere."""
    if isinstance(document, dict):
        return "\n".join(f"{key}\n{as_text(value)}" for key, value in document.items())
    if isinstance(document, list):
        return "\n".join(map(as_text, document))
    return str(document)
