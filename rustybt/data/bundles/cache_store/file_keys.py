"""Keys of cached files: each says what the file's row said when it was written.

SQLite keeps no checksums: a flipped digit in a row would let a reader skip the cut at the end of a range. The key is sealed with the
coverage that names it, so that a row that does not go with its key is known for damaged.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustybt.data.bundles.records import FileRecord

ENDING = ".parquet"
_NONCE_LENGTH, _DIGEST_LENGTH = 12, 20


def keyed(dataset: str, record: FileRecord) -> FileRecord:
    """Return `record` with a new key in the folder of a dataset."""
    nonce = uuid.uuid4().hex[:_NONCE_LENGTH]
    return replace(record, file_key=f"{dataset}/{nonce}{_digest(dataset, nonce, record)}{ENDING}")


def checked(dataset: str, record: FileRecord) -> FileRecord:
    """Return `record`; of one that does not go with its key nothing is used but the key.

    No bytes pass for it then, and bars of a file that this process checked before are cut at both ends.
    """
    name = PurePosixPath(record.file_key).name.removesuffix(ENDING)
    nonce = name[:_NONCE_LENGTH]
    if name == nonce + _digest(dataset, nonce, record):
        return record
    return replace(
        record,
        sha256="",
        size_bytes=0,
        row_count=0,
        first_symbol="",
        last_symbol="",
        first_bar=-(2**63),
        last_bar=2**63,
    )


def _digest(dataset: str, nonce: str, record: FileRecord) -> str:
    said = [
        *(dataset, nonce, record.sha256, record.size_bytes, record.row_count),
        *(record.first_symbol, record.last_symbol, record.first_bar, record.last_bar),
    ]
    return hashlib.sha256(json.dumps(said, default=repr).encode()).hexdigest()[:_DIGEST_LENGTH]
