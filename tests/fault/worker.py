"""What the fault tests run in processes of their own, to be killed, starved or shut out: ``worker.py ACTION HOME ...``."""

import json
import os
import resource
import signal
import sys
from datetime import UTC, datetime, timedelta

from rustybt.data.bundles.store import BundleStore
from rustybt.errors import RustybtError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

START = datetime(2020, 1, 1, tzinfo=UTC)


def bars_of_version(number, symbol="A", rows=1):
    """Version n adds day n, with n as its price."""
    return frame_of_bars((symbol, START + timedelta(days=number, seconds=at), number) for at in range(rows))


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def crash_at(home, step):
    """Commit once, and die at a step."""

    def on_step(name):
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with BundleStore(home, on_step=on_step) as store:
        try:
            number = len(store.versions("us")) + 1
        except RustybtError:
            number = 1
        store.commit("us", bars_of_version(number), Provenance("worker"), op_id=f"op-{number}")
        say(number)


def commit_for_ever(home):
    """Commit one version after the other, and name each when it is acknowledged."""
    with BundleStore(home) as store:
        number = len(store.versions("us")) + 1
        while True:
            result = store.commit("us", bars_of_version(number), Provenance("worker"))
            assert result.version == number, result
            say(number)
            number += 1


def commit_many(home, symbol, shared, own):
    """Commit to a bundle shared with others, and to one of its own."""
    with BundleStore(home) as store:
        say("ready")
        sys.stdin.readline()
        for number in range(int(shared)):
            store.commit("shared", bars_of_version(number, symbol), Provenance("worker"))
            if number < int(own):
                store.commit(symbol, bars_of_version(number, symbol), Provenance("worker"))
    say("done")


def hold(home, reference):
    """Open a version and keep it."""
    bundle = BundleStore(home).open(reference)
    say("open")
    sys.stdin.readline()
    say(bundle.read().height)


def fill_up(home, limit):
    """Commit ever more bars until it fails; `limit` bounds the size of each file, 0 leaves it to the disk."""
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    done = 0
    with BundleStore(home) as store:
        try:
            for number in range(1, 200):
                store.commit("us", bars_of_version(number, rows=200 * number), Provenance("worker"))
                done = number
        except RustybtError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            say(json.dumps({"done": done, "error": type(error).__name__, "message": str(error)}))


def read_only(home):
    """Say what can be seen of a home that cannot be written, and what writing says."""
    facts = {}
    with BundleStore(home) as store:
        facts["bundles"] = [info.name for info in store.list_bundles()]
        for reference in ("us", "us@1"):
            with store.open(reference) as bundle:
                facts[reference] = [bundle.version, bundle.read().height]
        facts["whole"] = store.verify("us").is_whole
        for name, write in {
            "commit": lambda: store.commit("us", bars_of_version(9), Provenance("worker")),
            "tag": lambda: store.tag("us", "golden"),
            "gc": lambda: store.gc("us", keep_last=1),
            "rm": lambda: store.remove("us"),
        }.items():
            try:
                write()
            except RustybtError as error:
                facts[name] = f"{type(error).__name__}: {error.message}"
    say(json.dumps(facts))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
