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
    """Return `record`, without its checksum if it does not go with its key: no bytes will pass for it then."""
    name = PurePosixPath(record.file_key).name.removesuffix(ENDING)
    nonce = name[:_NONCE_LENGTH]
    return record if name == nonce + _digest(dataset, nonce, record) else replace(record, sha256="")


def _digest(dataset: str, nonce: str, record: FileRecord) -> str:
    said = [
        *(dataset, nonce, record.sha256, record.row_count),
        *(record.first_symbol, record.last_symbol, record.first_bar, record.last_bar),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGEST_LENGTH]
