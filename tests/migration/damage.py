"""What may have happened to an old database: another program holds it, or its bytes are not what they were."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "wal":
    connection.execute("PRAGMA journal_mode = WAL")
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def locked(path, *, in_log=False):
    """Let another process hold a database exclusively; with `in_log` it keeps a write-ahead log, which leaves readers free."""
    mode = "wal" if in_log else "delete"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(path), mode], env=os.environ.copy(), **pipes) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.kill()


def flip_page(path):
    """Turn every bit of the pages behind the first: the file begins as a database, and is none."""
    data = bytearray(path.read_bytes())
    data[4_096:] = bytes(byte ^ 0xFF for byte in data[4_096:])
    path.write_bytes(data)


def spoil_header(path):
    """Write over the first hundred bytes."""
    data = bytearray(path.read_bytes())
    data[:100] = b"no database " * 8 + b"here"
    path.write_bytes(data)


def cut(path):
    """Leave half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def leave_half_a_write(path, statement):
    """Leave database and rollback journal as a program that was killed within a transaction: the first half was written."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        connection = sqlite3.connect(copy, isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute(statement)
        shutil.copyfile(copy, path)
        shutil.copyfile(copy.with_name(copy.name + "-journal"), path.with_name(path.name + "-journal"))
        connection.execute("ROLLBACK")
        connection.close()


DAMAGES = {"pages": flip_page, "header": spoil_header, "half": cut}
