"""What an ingest with `--replace` removes, while its frames stream by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.bundles.merge import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class Replacement:
    """Removes old rows of [start, end] that are not delivered again.

    A symbol's bars may come in several frames, in order of time. A frame therefore removes only up to its last bar; what
    lies behind the last frame is removed at the end.

    Parameters
    ----------
    start, end
        Range that was asked for, microseconds UTC, both included; None is open.
    """

    def __init__(self, start: int | None, end: int | None) -> None:
        self._start = _EARLIEST if start is None else start
        self._end = _LATEST if end is None else end
        self._next: dict[str, int] = {}

    def scope_of(self, spans: Iterable[tuple[str, int, int]], *, is_only: bool) -> Scope:
        """Return where the next frame removes.

        Parameters
        ----------
        spans
            Symbol, first and last timestamp of what the frame holds.
        is_only
            No other frame will come.
        """
        found: dict[str, tuple[int, int]] = {}
        for symbol, _, last in spans:
            begin = self._next.get(symbol, self._start)
            end = self._end if is_only else min(last, self._end)
            if begin <= end:
                found[symbol] = (begin, end)
                self._next[symbol] = end + 1
        return Scope(found)

    def rest(self, symbols: Iterable[str], last_bars: Mapping[str, int]) -> Scope:
        """Return where old rows remain to be removed, after the last frame.

        Parameters
        ----------
        symbols
            Asked for or delivered.
        last_bars
            Symbol -> timestamp of its last old bar.
        """
        spans = {symbol: (self._next.get(symbol, self._start), self._end) for symbol in symbols}
        return Scope(
            {
                symbol: span
                for symbol, span in spans.items()
                if span[0] <= min(span[1], last_bars.get(symbol, _EARLIEST))
            }
        )
