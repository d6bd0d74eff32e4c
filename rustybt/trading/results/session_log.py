"""What a run leaves behind, one record a session; the perf frame is made of it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.trading.book.nano import NANO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.market.assets import Asset
    from rustybt.trading.book.ledger import Ledger
    from rustybt.trading.book.transaction import Transaction
    from rustybt.trading.orders.lots import Amount


def _packed(values: list[int]) -> Sequence[int]:
    """Return integers in 8 bytes each where they fit: a record of each session adds up."""
    try:
        return array("q", values)
    except OverflowError:
        return values


@dataclass(slots=True)
class HeldPositions:
    """Holdings at the end of a session; the tuples of assets, amounts and costs are shared while nothing is traded."""

    assets: tuple[Asset, ...]
    amounts: tuple[Amount, ...]
    costs: tuple[float, ...]
    prices: Sequence[int]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the holdings with Zipline's keys."""
        rows = zip(self.assets, self.amounts, self.costs, self.prices, strict=True)
        return [{"sid": a, "amount": n, "cost_basis": c, "last_sale_price": p / NANO} for a, n, c, p in rows]


@dataclass(slots=True)
class SessionRecord:
    """One session; money in units of 1e-9.

    `start_cash` and `start_value` are taken after dividends are paid and before splits, as Zipline's columns are.
    """

    t: int
    start_cash: int
    start_value: int
    cash: int
    positions_value: int
    long_value: int
    short_value: int
    longs_count: int
    shorts_count: int
    positions: HeldPositions
    transactions: list[Transaction]
    orders: list[dict[str, Any]]
    recorded: dict[str, Any]


@dataclass(slots=True)
class SessionLog:
    """The records of a run, and the ISO dates of all its sessions."""

    capital_base: int
    sessions: list[str] = field(default_factory=list)
    _changes: int = -1
    records: list[SessionRecord] = field(default_factory=list)

    def add(
        self,
        t: int,
        start: tuple[int, int],
        ledger: Ledger,
        transactions: list[Transaction],
        orders: list[dict[str, Any]],
        recorded: dict[str, Any],
    ) -> None:
        """Append the session as the book stands at its end."""
        held = ledger.positions.values()
        if self.records and ledger.changes == self._changes:
            last = self.records[-1].positions
            assets, amounts, costs = last.assets, last.amounts, last.costs
        else:
            assets = tuple(ledger.positions)
            amounts = tuple([p.amount for p in held])
            costs = tuple([p.cost_basis for p in held])
            self._changes = ledger.changes
        self.records.append(
            SessionRecord(
                t=t,
                start_cash=start[0],
                start_value=start[1],
                cash=ledger.cash,
                positions_value=ledger.positions_value,
                long_value=ledger.long_value,
                short_value=ledger.short_value,
                longs_count=ledger.longs_count,
                shorts_count=ledger.shorts_count,
                positions=HeldPositions(assets, amounts, costs, _packed(ledger.last_prices())),
                transactions=transactions,
                orders=orders,
                recorded=recorded,
            )
        )
