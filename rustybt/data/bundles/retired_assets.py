"""Assets of removed bundles, noted beside the database: their sids are never given to others, not even after a recovery."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.bundles.metadata_store.contents import AssetKey
    from rustybt.data.bundles.storage import Storage

FOLDER = f"{INTERNAL_FOLDER}/retired_assets"


def write_retired_assets(storage: Storage, sids: Mapping[AssetKey, int]) -> None:
    """Write a durable note of the sids of a bundle that is about to be removed."""
    rows = [[*key, sid] for key, sid in sorted(sids.items(), key=lambda item: item[1])]
    storage.put_new(f"{FOLDER}/{uuid.uuid4().hex}.json", json.dumps(rows).encode())


def read_retired_assets(storage: Storage) -> dict[AssetKey, int]:
    """Return key -> sid of every noted asset; damaged notes are passed over."""
    found: dict[AssetKey, int] = {}
    for stored in storage.list(FOLDER):
        with suppress(ValueError, TypeError):
            for venue, symbol, epoch, sid in json.loads(storage.open(stored.key)):
                found[str(venue), str(symbol), str(epoch)] = int(sid)
    return found
