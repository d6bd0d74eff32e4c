"""A process with keys in its environment that does what it is told, line by line: ``ingest``, ``describe``, ``commands``.

Everything that any library logs goes to stderr, as an application with logging of its own would have it.
"""

import json
import logging
import sys
import traceback

from rustybt.cli.main import invoke
from rustybt.data.sources import get_source

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
vendor, options = sys.argv[1], json.loads(sys.argv[2])


def say(*told):
    sys.stdout.write(" ".join(map(str, told)) + "\n")


def ingest(number):
    ask = ["--symbols", "AAPL,NOSUCH", "--start", "2024-01-02", "--end", "2024-03-28"]
    invoke(["ingest", vendor, "--bundle", f"b{number}", *ask, "-vv", "--debug", "--no-progress"])


def describe(_):
    source = get_source(vendor, **options)
    for told in (
        source,
        source.options(),
        source.get_metadata(),
        source.limits(),
        source.adapter,
        vars(source.adapter),
    ):
        say(repr(told), told)
    say(vars(source), vars(source.adapter.throttle))
    try:
        source.fetch_sync(["AAPL"], "2024-01-02", "2024-03-28", "1d")
    except Exception as error:  # noqa: BLE001  whatever it is, it must not show the key
        say(repr(error), error, vars(error))
        # Error trackers record the variables of each frame.
        say("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))


def commands(_):
    for words in (
        ["config", "show", "--origin"],
        ["config", "show", "--json"],
        ["doctor"],
        ["sources", "list", "--json"],
        ["sources", "info", vendor],
        ["bundle", "list"],
        ["bundle", "info", "b0", "--json"],
    ):
        invoke([*words, "-vv", "--debug"] if "-vv" not in words else words)


for at, line in enumerate(sys.stdin):
    {"ingest": ingest, "describe": describe, "commands": commands}[line.strip()](at)
    sys.stdout.write(f"\ndone {at}\n")
    sys.stdout.flush()
