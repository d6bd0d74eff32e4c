"""One Parquet file of an old bundle, and what is to be thought of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from rustybt.market.frequency import Frequency

Verdict = Literal["sound", "unrecorded", "changed", "missing", "unreadable", "outside", "not_bars"]


@dataclass(frozen=True, slots=True)
class OldFile:
    """A file that lies in an old bundle's folder, or that its catalog names.

    Parameters
    ----------
    path
        Absolute.
    relative
        POSIX, relative to the bundle's folder; of a file that is not in it, the path as recorded.
    frequency
        By the folders it lies in, else by the resolution that the catalog gives its dataset, else daily where its stamps are
        dates; None where nothing says: such a file is not imported.
    size_bytes
        0 if missing.
    sha256
        Of the file as it is now, lower case; empty if missing or not read.
    recorded
        Checksum that the catalog recorded, as it wrote it; empty if none.
    verdict
        ``sound``: its checksum is the recorded one. ``unrecorded``: there is none to compare with. ``changed``: it is another.
        ``missing``: recorded, and not there. ``unreadable``: no file, no Parquet, or damaged. ``outside``: it leads out of the
        bundle's folder and was not read. ``not_bars``: Parquet of something else.
    reason
        A sentence for the report; empty for ``sound``.
    """

    path: Path
    relative: str
    frequency: Frequency | None
    size_bytes: int
    sha256: str
    recorded: str
    verdict: Verdict
    reason: str

    @property
    def is_usable(self) -> bool:
        """Whether its bars are imported."""
        return self.verdict in ("sound", "unrecorded")
