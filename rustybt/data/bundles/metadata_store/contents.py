"""SQL of what a version holds beside its bars: assets, aliases, corporate actions, and what was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rustybt.data.bundles.metadata_schema import (
    assets,
    bundle_aliases,
    bundle_assets,
    bundle_symbols,
    corporate_actions,
    coverage,
)
from rustybt.data.bundles.metadata_store.seals import description_of
from rustybt.data.bundles.records import Alias, AssetRecord, CoverageRecord, Description
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AssetKey = tuple[str, str, str]


def ensure_sids(connection: Connection, keys: Iterable[AssetKey]) -> dict[AssetKey, int]:
    """Return the sid of each (venue, symbol, listing epoch), giving new ones where needed; a sid is never used again."""
    wanted = list(dict.fromkeys(keys))
    known = known_sids(connection)
    fresh = [key for key in wanted if key not in known]
    if fresh:
        names = ("venue", "symbol", "listing_epoch")
        connection.execute(insert(assets), [dict(zip(names, key, strict=True)) for key in fresh])
        known = known_sids(connection)
    return {key: known[key] for key in wanted}


def known_sids(connection: Connection) -> dict[AssetKey, int]:
    """Return every asset ever seen in this home."""
    rows = connection.execute(select(assets.c.venue, assets.c.symbol, assets.c.listing_epoch, assets.c.sid))
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def restore_sid(connection: Connection, key: AssetKey, sid: int) -> int:
    """Give an asset the sid that a manifest recorded, unless it has one or another asset took it; return the one it has now."""
    venue, symbol, epoch = key
    is_taken = connection.execute(select(assets.c.sid).where(assets.c.sid == sid)).scalar_one_or_none() is not None
    if is_taken or key in known_sids(connection):
        return ensure_sids(connection, [key])[key]
    connection.execute(insert(assets).values(sid=sid, venue=venue, symbol=symbol, listing_epoch=epoch))
    return sid


def load_description(connection: Connection, name: str, version: int) -> Description:
    """Return the assets, actions and aliases of one version.

    Raises
    ------
    CorruptBundleError
        They are not the ones that were written.
    """
    asset_rows, action_rows, alias_rows = description_of(connection, name, version)
    records = {
        row.symbol: AssetRecord(
            row.symbol, row.sid, AssetAttributes.from_json(json.loads(row.attributes)), json.loads(row.price_basis)
        )
        for row in asset_rows
    }
    return Description(
        records,
        tuple(CorporateAction.from_json(json.loads(row.event)) for row in action_rows),
        tuple(Alias.from_json(row._asdict()) for row in alias_rows),
    )


def add_assets(connection: Connection, name: str, version: int, changed: Sequence[AssetRecord]) -> None:
    """Let `version` and later ones see `changed`; older versions keep what they saw."""
    if not changed:
        return
    connection.execute(
        update(bundle_assets)
        .where(
            bundle_assets.c.bundle_name == name,
            bundle_assets.c.symbol == bindparam("old_symbol"),
            bundle_assets.c.removed_version.is_(None),
        )
        .values(removed_version=version),
        [{"old_symbol": record.symbol} for record in changed],
    )
    connection.execute(
        insert(bundle_assets),
        [
            {
                "bundle_name": name,
                "symbol": record.symbol,
                "sid": record.sid,
                "attributes": json.dumps(record.attributes.to_json()),
                "price_basis": json.dumps(dict(record.price_basis)),
                "added_version": version,
            }
            for record in changed
        ],
    )
    connection.execute(
        delete(bundle_symbols).where(
            bundle_symbols.c.bundle_name == name, bundle_symbols.c.symbol == bindparam("old_symbol")
        ),
        [{"old_symbol": record.symbol} for record in changed],
    )
    connection.execute(
        insert(bundle_symbols),
        [
            {
                "bundle_name": name,
                "symbol": record.symbol,
                "asset_type": record.attributes.asset_type,
                "exchange": record.attributes.venue,
            }
            for record in changed
        ],
    )


def add_actions(connection: Connection, name: str, version: int, events: Sequence[CorporateAction]) -> None:
    """Append corporate actions as of `version`."""
    rows = [
        {
            "bundle_name": name,
            "symbol": event.symbol,
            "event_id": event.event_id,
            "kind": event.kind,
            "ex_date": event.ex_date.isoformat(),
            "first_seen": event.first_seen,
            "source": event.source,
            "event": json.dumps(event.to_json()),
            "added_version": version,
        }
        for event in events
    ]
    if rows:
        connection.execute(insert(corporate_actions), rows)


def add_aliases(connection: Connection, name: str, version: int, aliases: Sequence[Alias]) -> None:
    """Append aliases as of `version`."""
    rows = [{**alias.to_json(), "bundle_name": name, "added_version": version} for alias in aliases]
    if rows:
        connection.execute(insert(bundle_aliases), rows)


def load_coverage(connection: Connection, name: str) -> list[CoverageRecord]:
    """Return what was asked for and answered, by frequency, symbol and start."""
    rows = connection.execute(
        select(coverage)
        .where(coverage.c.bundle_name == name)
        .order_by(coverage.c.frequency, coverage.c.symbol, coverage.c.start)
    )
    return [CoverageRecord(row.frequency, row.symbol, row.start, row.end, row.reason, row.fetched_at) for row in rows]


def replace_coverage(
    connection: Connection, name: str, frequency: str, symbols: Sequence[str], records: Sequence[CoverageRecord]
) -> None:
    """Put `records` in the place of all that was known of `symbols` at `frequency`."""
    if symbols:
        connection.execute(
            delete(coverage).where(
                coverage.c.bundle_name == name,
                coverage.c.frequency == frequency,
                coverage.c.symbol == bindparam("gone"),
            ),
            [{"gone": symbol} for symbol in symbols],
        )
    if records:
        connection.execute(
            insert(coverage),
            [
                {
                    "bundle_name": name,
                    "frequency": record.frequency,
                    "symbol": record.symbol,
                    "start": record.start,
                    "end": record.end,
                    "reason": record.reason,
                    "fetched_at": record.fetched_at,
                }
                for record in records
            ],
        )
