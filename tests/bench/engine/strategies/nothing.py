"""Know some assets and do nothing in any bar."""

from rustybt.api import symbol

ASSETS = 10


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]


def handle_data(context, data):
    pass
