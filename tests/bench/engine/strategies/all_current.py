"""Ask for the prices of all assets in every bar, so that every bar has to be read; stop at the first one if told to.

`FIRST` holds the clock's reading when the prices of the first bar were there.
"""

from time import perf_counter

from rustybt.api import symbol

ASSETS = 500
STOP_AT_FIRST = False
FIRST = []


class Enough(Exception):  # noqa: N818 - it is none
    """The first bar has been read."""


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]


def handle_data(context, data):
    data.current(context.universe, "price")
    if not FIRST:
        FIRST.append(perf_counter())
        if STOP_AT_FIRST:
            raise Enough
