"""Tags beside the database, so that recovery brings them back."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustybt.data.bundles.storage import Storage

FOLDER = "tags"


def write_tag_file(storage: Storage, bundle: str, tag: str, version: int, now: int) -> str:
    """Write a durable note of a tag; return its key."""
    key = f"{bundle}/{FOLDER}/{tag}@{version}-{uuid.uuid4().hex[:12]}.json"
    storage.put_new(key, json.dumps({"tag": tag, "version": version, "created_at": now}).encode())
    return key


def delete_tag_files(storage: Storage, bundle: str, tag: str, keep: str | None = None) -> None:
    """Remove the notes of a tag but for `keep`."""
    for stored in list(storage.list(f"{bundle}/{FOLDER}")):
        if PurePosixPath(stored.key).name.partition("@")[0] == tag and stored.key != keep:
            storage.delete(stored.key)


def read_tag_files(storage: Storage, bundle: str) -> dict[str, tuple[int, int]]:
    """Return tag -> (version, created_at), the newest note of each tag; damaged notes are passed over."""
    found: dict[str, tuple[int, int]] = {}
    for stored in storage.list(f"{bundle}/{FOLDER}"):
        with suppress(ValueError, KeyError, TypeError):
            note = json.loads(storage.open(stored.key))
            tag, version, created_at = str(note["tag"]), int(note["version"]), int(note["created_at"])
            if tag not in found or found[tag][1] <= created_at:
                found[tag] = (version, created_at)
    return found
