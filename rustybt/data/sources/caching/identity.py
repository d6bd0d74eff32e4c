"""Which answers are alike: the identity of a dataset."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.redaction import redact
from rustybt.data.bundles.metadata_store.cache import DatasetRow

if TYPE_CHECKING:
    from rustybt.data.bundles.cache_store.place import CachePlace
    from rustybt.data.sources.base import DataSource
    from rustybt.market.frequency import Frequency

#: Options that change how a source is reached and not what it says.
_TRANSPORT = frozenset(
    {"proxy", "ca_bundle", "timeout_seconds", "requests_per_minute", "parallel_requests", "max_attempts"}
)


def dataset_row(source: DataSource, frequency: Frequency, place: CachePlace) -> DatasetRow:
    """Return the dataset that holds what `source` delivers at a frequency.

    It is the same for two sources exactly when they would answer alike: of one vendor, feed, adjustment, exchange and address.
    Accounts make no difference, nor does the way there.
    """
    metadata = source.get_metadata()
    name = source.name or f"{type(source).__module__}.{type(source).__qualname__}"
    identity = {
        "source": name,
        "source_type": metadata.source_type,
        "feed": metadata.feed,
        "adjustment": metadata.adjustment,
        "options": {
            key: _without_key(key, value)
            for key, value in sorted(source.cache_identity().items())
            if key not in _TRANSPORT
        },
        "frequency": frequency.name,
    }
    text = json.dumps(identity, sort_keys=True, default=str)
    digest = hashlib.sha256(json.dumps([text, place.text, place.owner]).encode()).hexdigest()
    return DatasetRow(f"cache-{digest[:24]}", place.text, name, frequency.name, text, 0)


def _without_key(name: str, value: Any) -> Any:
    """Return an option without a secret: the ledger is shown and copied, and an account makes no difference."""
    if isinstance(value, str):
        return redact(f"{name}={value}").removeprefix(f"{name}=")
    if isinstance(value, dict):
        return {inner: _without_key(str(inner), held) for inner, held in value.items()}
    return [_without_key(name, held) for held in value] if isinstance(value, list | tuple) else value


def request_key(
    row: DatasetRow, symbols: tuple[str, ...], start: int | None, end: int | None, frequency: Frequency
) -> str:
    """Return the key of one whole request, as the original design has it: equal requests have equal keys, in any order of symbols."""
    asked = [row.name, sorted(symbols), start, end, frequency.name]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
