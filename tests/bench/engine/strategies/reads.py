"""Time single reads of bars; nothing else is done. `NANOSECONDS` holds what each call took."""

from time import perf_counter_ns

from rustybt.api import symbol

ASSETS = 500
#: Bars before the first read, so that the longest window is full.
BEFORE = 252
#: Zipline has no windows as plain arrays.
HAS_ARRAYS = True
NANOSECONDS = {}


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]
    context.bars = 0


def handle_data(context, data):
    context.bars += 1
    if context.bars <= BEFORE:
        return
    universe = context.universe
    for number in range(10):
        asset = universe[(context.bars * 10 + number) % ASSETS]
        begin = perf_counter_ns()
        data.current(asset, "price")
        note("current of 1", begin)
    one = universe[context.bars % ASSETS]
    begin = perf_counter_ns()
    data.current(universe, "price")
    note("current of all", begin)
    begin = perf_counter_ns()
    data.history(universe, "price", 20, "1d")
    note("history of all x 20", begin)
    begin = perf_counter_ns()
    data.history(one, "price", 200, "1d")
    note("history of 1 x 200", begin)
    if HAS_ARRAYS:
        begin = perf_counter_ns()
        data.history(universe, "price", 20, "1d", output="numpy")
        note("history of all x 20, array", begin)
        begin = perf_counter_ns()
        data.history(one, "price", 200, "1d", output="numpy")
        note("history of 1 x 200, array", begin)


def note(what, begin):
    NANOSECONDS.setdefault(what, []).append(perf_counter_ns() - begin)
