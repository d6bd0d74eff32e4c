"""Strategies that other processes can import, and executors that run in this one."""

from __future__ import annotations

import importlib
import os
from concurrent.futures import Executor, Future

from rustybt import api

FREE = "set_commission(commission.NoCommission()); set_slippage(slippage.NoSlippage())"

#: Buys SHARES of A at the close of the second session; fails with a negative number.
HOLD = f"""from rustybt.api import commission, order, set_commission, set_slippage, slippage, symbol

SHARES = 1
NAME = "A"


def initialize(context):
    {FREE}
    context.asset = symbol(NAME)
    context.done = False


def handle_data(context, data):
    if SHARES < 0:
        raise ValueError("no short sales")
    if not context.done:
        order(context.asset, SHARES)
        context.done = True
"""


def initialize(context, shares, name="A"):
    api.set_commission(api.commission.NoCommission())
    api.set_slippage(api.slippage.NoSlippage())
    context.asset = api.symbol(name)
    context.shares = shares
    context.done = False


def handle_data(context, data):
    if context.shares < 0:
        raise ValueError("no short sales")
    if not context.done:
        api.order(context.asset, context.shares)
        context.done = True


def leave_at_two(context, data):
    if context.shares == 2:
        raise SystemExit("enough")


def die_at_two(context, data):
    if context.shares == 2:
        os._exit(1)


class Loses:
    """Can be pickled, and not be read again."""

    def __reduce__(self):
        return (importlib.import_module, ("no_such_module",))

    def __call__(self, context, shares):
        """Never get here."""


class Serial(Executor):
    """Runs what it is given at once; the call with number `interrupted` is a Ctrl-C instead."""

    def __init__(self, interrupted=0):
        self.calls = 0
        self.interrupted = interrupted

    def submit(self, function, /, *args, **kwargs):
        self.calls += 1
        if self.calls == self.interrupted:
            raise KeyboardInterrupt
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor keeps whatever it is
            future.set_exception(error)
        return future


class Backwards(Serial):
    """Keeps everything until `expected` calls were made, and runs the last one first."""

    def __init__(self, expected):
        super().__init__()
        self.expected = expected
        self.waiting = []

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, function, args))
        if len(self.waiting) == self.expected:
            for waiting, call, given in reversed(self.waiting):
                waiting.set_running_or_notify_cancel()
                waiting.set_result(call(*given))
        return future
