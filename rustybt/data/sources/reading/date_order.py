"""Day first or month first: found in the data where it can be, and never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.sources.reading.stamp_formats import DateOrder, leading_numbers
from rustybt.errors import RequestError

if TYPE_CHECKING:
    import polars as pl

_HINT = "say which: --date-format dmy (31/12/2020), mdy (12/31/2020) or a pattern such as %d/%m/%Y"


class DateOrders:
    """Collects what the dates of each file, such as 13/01/2020, allow; a number above 12 can only be the day."""

    def __init__(self) -> None:
        self._largest: dict[str, tuple[int, int]] = {}
        self._examples: dict[str, str] = {}

    def note(self, label: str, stamps: pl.Series) -> None:
        """Look at some timestamps of the file `label`."""
        first, second = leading_numbers(stamps)
        known = self._largest.get(label, (0, 0))
        if label not in self._examples:
            self._examples.update((label, str(text).strip()) for text in stamps.drop_nulls().head(1))
        self._largest[label] = (max(first, known[0]), max(second, known[1]))

    def agreed(self) -> DateOrder | None:
        """Return the one order that all files allow; None if no file was looked at.

        Raises
        ------
        RequestError
            Files disagree, or no date in them decides.
        """
        if not self._largest:
            return None
        day_first = [label for label, (first, _) in self._largest.items() if first > 12]
        month_first = [label for label, (_, second) in self._largest.items() if second > 12]
        if day_first and month_first:
            raise RequestError(
                f"the files write dates in different orders: {day_first[0]} has days first, {month_first[0]} months first",
                hint=_HINT,
            )
        if not day_first and not month_first:
            label = next(iter(self._largest))
            raise RequestError(
                f"dates such as {self._examples.get(label, '01/02/2020')} in {label} can be read day first or month first, "
                "and no date in the files decides it",
                hint=_HINT,
            )
        return "dmy" if day_first else "mdy"
