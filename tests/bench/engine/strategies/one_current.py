"""Ask for one price in every bar."""

from rustybt.api import symbol

ASSETS = 10


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]


def handle_data(context, data):
    data.current(context.universe[0], "price")
