"""Which columns of an old Parquet file are which fields of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustybt.data.sources.reading.columns import find_columns
from rustybt.errors import BadResponseError
from rustybt.market.bars import VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.bundles.storage.foreign import ForeignParquet
    from rustybt.market.frequency import Frequency

_SID = "sid"
# What pandas calls an index without a name; it holds the stamps where no column does.
_UNNAMED_INDEX = "__index_level_0__"
_KEPT = ("timestamp", "symbol", *VALUE_COLUMNS)
# Partition columns, which some writers repeat in the file: they say nothing that the stamps do not.
_PARTITION = frozenset({"year", "month", "day"})


@dataclass(frozen=True, slots=True)
class OldColumns:
    """The columns of a file that are read.

    Parameters
    ----------
    names
        Field to the file's own name; `timestamp`, the prices, and one of `symbol` and `sid`, are always there.
    unused
        The other columns, without those of the partition.
    has_only_dates
        The stamps show no time of day.
    """

    names: Mapping[str, str]
    unused: tuple[str, ...]
    has_only_dates: bool


def columns_of(file: ForeignParquet, frequency: Frequency | None, where: str) -> OldColumns:
    """Return which columns of `file` are read.

    Raises
    ------
    BadResponseError
        It lacks a column that bars need, or has one twice.
    """
    found = find_columns(["" if name == _UNNAMED_INDEX else name for name in file.names], {}, where)
    positions = {field: position for field, position in found.positions.items() if field in _KEPT}
    # Beside the instant of its close, some writers give a daily bar its session.
    session = [at for at, name in enumerate(file.names) if name.strip().lower() == "date" and file.is_date(name)]
    if session and (frequency is None or not frequency.is_intraday):
        positions["timestamp"] = session[0]
    if "symbol" not in positions:
        sids = [at for at, name in enumerate(file.names) if name.strip().lower() == _SID]
        if len(sids) != 1:
            raise BadResponseError(f"{where} has no column for symbol; its columns are {', '.join(file.names[:20])}")
        positions[_SID] = sids[0]
    names = {field: file.names[position] for field, position in positions.items()}
    used = set(names.values())
    unused = tuple(name for name in file.names if name not in used and name.strip().lower() not in _PARTITION)
    return OldColumns(names, unused, file.is_date(names["timestamp"]))
