"""bcolz tables of unsigned 32-bit columns, written row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.bundles.storage.bcolz_import import import_bcolz

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class GrowingTable:
    """A table on disk that rows are added to.

    Parameters
    ----------
    folder
        Its folder, opened if it is there.
    names
        Of its columns.
    expected_rows
        About how many there will be; bcolz chooses the size of its chunks by it.
    """

    def __init__(self, folder: Path, names: Sequence[str], expected_rows: int) -> None:
        bcolz = import_bcolz()
        if folder.exists():
            self._table = bcolz.ctable(rootdir=str(folder), mode="a")
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            nothing = [np.empty(0, dtype=np.uint32)] * len(names)
            self._table = bcolz.ctable(
                columns=nothing, names=list(names), rootdir=str(folder), mode="w", expectedlen=max(expected_rows, 1)
            )
        self._names = names

    def __len__(self) -> int:
        return len(self._table)

    def append(self, columns: Sequence[NDArray[np.uint32]]) -> None:
        """Add rows, one array a column."""
        self._table.append(list(columns))

    def finish(self, attributes: dict[str, Any] | None = None) -> None:
        """Write what is still in memory, and the table's attributes."""
        for name, value in (attributes or {}).items():
            self._table.attrs[name] = value
        self._table.flush()
