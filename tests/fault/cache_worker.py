"""Processes that use a cache and are killed: made by forking one that has imported everything, so that hundreds cost little.

Each line of stdin is ``["start", OPTIONS]``, answered with the number of a new process, or ``["wait", PROCESS]``, answered with
how it ended. What a process says, it appends to the file that its options name.
"""

import json
import os
import random
import signal
import sys
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path

from rustybt.config import load_settings
from rustybt.data.bundles import counted
from rustybt.data.bundles.cache_store import dataset as dataset_module
from rustybt.data.bundles.cache_store import space
from rustybt.data.bundles.cache_store.store import CacheStore
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.bundles.metadata_store import database as database_module
from rustybt.data.bundles.storage import local
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.cached_source import CachedDataSource
from rustybt.data.sources.caching import serving
from rustybt.market.frequency import Frequency
from tests.fault.cache_vendor import EVENING, SYMBOLS, Vendor, grid, told

DAY = 86_400 * 1_000_000
LAST_DAY = int(EVENING) // 86_400 * DAY


def die(*_given, **_named):
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner, name):
    """Die where a function would be called."""
    setattr(owner, name, die)


def after(owner, name):
    """Die when a function has done its work."""
    real = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: (real(*given, **named), die()))


def _inside_of_a_file():
    real = local.os.write
    local.os.write = lambda descriptor, data: (real(descriptor, bytes(data[: len(data) // 2])), die())


def _when_files_are_replaced(where):
    replace = dataset_module.CachedDataset.replace_files

    def replaced(*given, **named):
        where()
        return replace(*given, **named)

    dataset_module.CachedDataset.replace_files = replaced


#: Step of a fill -> how to die there.
STEPS = {
    "database-made": lambda: after(database_module, "migrate"),
    "file-half-written": _inside_of_a_file,
    "file-not-yet-durable": lambda: before(local, "sync_file"),
    "file-renamed": lambda: before(local, "sync_directory"),
    "file-written": lambda: after(local.LocalStorage, "put_new"),
    "dataset-inserted": lambda: after(sql, "ensure_dataset"),
    "files-inserted": lambda: after(sql, "add_files"),
    "series-inserted": lambda: after(sql, "save_series"),
    "room-made": lambda: after(dataset_module, "make_room"),
    "committed": lambda: before(dataset_module.CachedDataset, "_delete"),
    "handing-over": lambda: before(serving, "describe"),
    "request-noted": lambda: after(sql, "save_request"),
    "statistics-half-written": lambda: after(counted.catalog, "add_usage"),
    "compacting": lambda: before(dataset_module.CachedDataset, "write_files"),
    "compacted-files-written": lambda: before(dataset_module.CachedDataset, "replace_files"),
    "compacted-rows-changed": lambda: _when_files_are_replaced(lambda: after(sql, "delete_files")),
    "compacted-and-committed": lambda: _when_files_are_replaced(
        lambda: before(dataset_module.CachedDataset, "discard")
    ),
    "evicted-rows-gone": lambda: after(space, "remove_rows"),
    "cleaned-before-files": lambda: before(local.LocalStorage, "delete"),
    "sweeping": lambda: before(CacheStore, "_sweep"),
}


class Work:
    """One process's view of the cache."""

    def __init__(self, options):
        self.options = options
        limit = options.get("limit")
        serving.GROUP_SECONDS = options.get("group_seconds", serving.GROUP_SECONDS)
        settings = load_settings({"cache.max_size_bytes": limit} if limit else None)
        now = options.get("now", EVENING)
        self.store = BundleStore(options["home"], settings=settings, clock=lambda: now)
        self.vendor = Vendor(options["log"], delay=options.get("delay", 0.0), clock=lambda: now)
        self.now = now
        self.cached = CachedDataSource(self.vendor, options.get("cache_dir"), store=self.store)

    def say(self, *words):
        with Path(self.options["out"]).open("a") as out:
            out.write(" ".join(map(str, words)) + "\n")

    def answer(self, symbols, start, end, frequency="1d"):
        """Ask, and complain about an answer that is not the uncached one."""
        request = self.cached.request(symbols, start, end, frequency)
        found = self.cached.fetch_sync(symbols, start, end, frequency)
        expected = told(symbols, request.start, request.end, frequency, self.now)
        if not found.equals(expected):
            held = dict(found.group_by("symbol").len().iter_rows())
            due = dict(expected.group_by("symbol").len().iter_rows())
            self.say("WRONG", symbols, start, end, frequency, found.height, expected.height, held, due)
            return False
        return True

    # -- actions -----------------------------------------------------------------------------------------------------

    def fill(self):
        """Fetch groups of symbols one after the other and name each request when it is answered."""
        for symbols in self.options["groups"]:
            if self.answer(symbols, *self.options["range"]):
                self.say("ack", json.dumps(symbols))
        self.store.counters.flush()
        self.say("end")

    def fill_and_clean(self):
        for symbols in self.options["groups"]:
            self.answer(symbols, *self.options["range"])
        self.cached.cache.clean(max_size_bytes=1)
        self.say("end")

    def mixed(self):
        """Ask for this and that, with a compaction and a clean now and then."""
        chance = random.Random(self.options["seed"])
        wrong = 0
        for _ in range(self.options["count"]):
            frequency = chance.choice(["1d", "1d", "1d", "1h"])
            symbols = chance.sample(SYMBOLS[:24], chance.randint(1, 6))
            length = chance.choice([5, 30, 120, 500]) if frequency == "1d" else chance.choice([2, 10, 40])
            last = LAST_DAY + 4 * DAY - chance.randint(0, 400) * DAY
            first = last - length * DAY
            wrong += not self.answer(symbols, _date(first), _date(last), frequency)
            if chance.random() < 0.02:
                self._clean(chance)
            if chance.random() < 0.02:
                frequency = Frequency.parse("1d")
                self.cached._access.dataset(frequency).compact()
        self.say("done", self.options["count"], wrong)

    def _clean(self, chance):
        cache = self.cached.cache
        way = chance.randrange(3)
        if way == 0:
            cache.clean(max_size_bytes=self.options["limit"] // 2)
        elif way == 1:
            cache.clean(symbols=chance.sample(SYMBOLS[:24], 3))
        else:
            cache.clean(everything=True)

    def same(self):
        """Ask for one thing at the moment that all others do."""
        self.say("ready")
        Path(self.options["gate"]).read_bytes()
        self.answer(self.options["symbols"], *self.options["range"])
        self.say("done")

    def read_for_ever(self):
        while True:
            for symbols in self.options["groups"]:
                self.answer(symbols, *self.options["range"])
            self.say("round")


def _date(at):
    return datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()


def run(options):
    """Be the process that the options describe."""
    try:
        work = Work(options)
        if options.get("step"):
            STEPS[options["step"]]()
        getattr(work, options["action"])()
    except BaseException:  # noqa: BLE001  whatever it is, the test shows it
        with Path(options["out"]).open("a") as out:
            out.write("ERROR " + traceback.format_exc().replace("\n", "\n  ") + "\n")


def main():
    warnings.simplefilter("error")
    # The threads that others warn of are those of memory allocators; Polars starts its own at first use, in the fork.
    warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
    for name in ("1d", "1h"):
        grid(name)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        what, argument = json.loads(line)
        if what == "start":
            process = os.fork()
            if not process:
                run(argument)
                os._exit(0)
            answer = process
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(argument, 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
