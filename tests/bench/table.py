"""The table that every benchmark prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.measure import Figure


def print_table(figures: Iterable[Figure], remarks: Iterable[str] = ()) -> None:
    """Print a line a figure, and the remarks under them."""
    table = Table(title="RustyBT beside its peers, this machine, one run")
    for column in ("what", "peer", "peer's", "ours", "unit", "ratio", "budget", "holds"):
        table.add_column(column, justify="right" if column in ("peer's", "ours", "ratio") else "left")
    for figure in figures:
        has_peer = figure.peer > 0
        table.add_row(
            figure.what,
            figure.peer_name,
            f"{figure.peer:.4g}" if has_peer else "",
            f"{figure.ours:.4g}",
            figure.unit,
            f"{figure.ratio:.2f}" if has_peer else "",
            figure.budget,
            "yes" if figure.holds else "NO",
        )
    console = Console(width=130)
    console.print(table)
    for remark in remarks:
        console.print(remark, markup=False)
