"""A new ingestion below a ``ZIPLINE_ROOT``: looked at first, written beside its place, moved there when it is whole."""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store.zipline_output import write_assets
from rustybt.data.bundles.storage.bcolz_import import import_bcolz
from rustybt.data.bundles.storage.local import TEMPORARY_PREFIX, translated
from rustybt.data.bundles.zipline_export import limits
from rustybt.data.bundles.zipline_export.adjustments import ClosesBefore, events_of, write_events
from rustybt.data.bundles.zipline_export.assets import equities_of
from rustybt.data.bundles.zipline_export.daily_bars import write_daily
from rustybt.data.bundles.zipline_export.extension import add_to_extension, register_line
from rustybt.data.bundles.zipline_export.grid import SessionGrid, grid_of
from rustybt.data.bundles.zipline_export.minute_bars import write_minutes
from rustybt.data.bundles.zipline_export.outgoing import MINUTE, OutgoingBars, made_daily_bars
from rustybt.data.bundles.zipline_export.report import ZiplineExport
from rustybt.data.bundles.zipline_layout import bundles_folder, ingestion_name
from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.zipline_export.adjustments import Events
    from rustybt.data.bundles.zipline_export.limits import Survey


def export_zipline(bundle: Bundle, path: str | Path, *, today: date | None = None) -> ZiplineExport:
    """Write daily and minute bars, corporate actions and assets as an ingestion that zipline-reloaded loads.

    It lies in ``PATH/data/NAME/TIMESTAMP``, named by the bundle and by when its version was committed (UTC); `path` is a
    ``ZIPLINE_ROOT``, new or in use. All bars are read twice: nothing is written before everything is known to fit.

    Parameters
    ----------
    today
        Zipline's calendars but a few begin twenty years before this day; None takes the computer's.

    Raises
    ------
    RequestError
        The ingestion is there already; or the format cannot hold the numbers, and the message names their symbols; or two
        symbols could not be told apart; or there is no bar to write.
    MissingDependencyError
        bcolz is not installed.
    StorageError
        The folder cannot be written; nothing is left of the ingestion.
    """
    import_bcolz()
    root = Path(path).expanduser()
    made_at = datetime.fromtimestamp(bundle.info.created_at, UTC)
    target = bundles_folder(root) / bundle.name / ingestion_name(made_at)
    if target.exists() or (root.exists() and not root.is_dir()):
        raise RequestError(
            f"{target if target.exists() else root} exists already", hint="name another output, or remove it first"
        )
    events = events_of(bundle)
    bars, notes = _outgoing(bundle, events, today or datetime.now(UTC).date())
    days, minutes = _looked_at(bars)
    sids, spans = _assets(bundle, bars.grid, days, minutes)
    if not spans:
        raise RequestError(
            f"no bar of {bundle.reference} lies in a session of {bundle.calendar_name}",
            hint="--to parquet keeps all bars",
        )
    left = sorted(set(bundle.symbols) - set(spans))
    if left:
        notes.append(f"{listed(left)} have no daily or minute bars that go over and were left out")
    assets = equities_of(bundle, spans, bars.grid)
    notes += [*limits.notes("daily", days), *limits.notes("minute", minutes), *events.notes, *assets.notes]
    with _new_folder(target) as folder:
        closes = ClosesBefore(events.booked, bars.grid)
        rows = sum(last - first + 1 for first, last in days.spans.values())
        with translated("write", target):
            written = [write_daily(folder, bars.daily(), sids, bars.grid, closes, rows)]
            written.append(write_minutes(folder, bars.minutes(), sids, minutes.decimals, bars.grid))
        file, said = write_events(folder, events, sids, closes, bars.grid)
        written += [file, write_assets(folder, assets.exchanges, assets.equities, assets.mappings)]
        notes += said
        with translated("write", root):
            extension, said = add_to_extension(root, register_line(bundle.name, bars.grid))
    done = [target / file.name for file in written] + ([extension] if extension else [])
    return ZiplineExport(
        root=str(root),
        bundle=bundle.name,
        calendar_name=bundle.calendar_name,
        first_session=min(first for first, _ in spans.values()).isoformat(),
        last_session=max(last for _, last in spans.values()).isoformat(),
        written=tuple(map(str, done)),
        notes=(*notes, *said),
        rounded_prices=days.rounded_prices + minutes.rounded_prices,
        rounded_volumes=days.rounded_volumes + minutes.rounded_volumes,
        left_out_bars=days.outside + minutes.outside,
        has_minutes=bool(minutes.spans),
    )


def _outgoing(bundle: Bundle, events: Events, today: date) -> tuple[OutgoingBars, list[str]]:
    """Return the bars that go over, and notes on frequencies."""
    notes = []
    made, made_of = made_daily_bars(bundle, events.restating)
    used = [name for name in bundle.frequencies if name in (DAILY.name, MINUTE) or name in made_of.values()]
    if not used:
        raise RequestError(
            f"{bundle.reference} has neither daily nor intraday bars", hint=f"it has {', '.join(bundle.frequencies)}"
        )
    for finer in sorted(set(made_of.values())):
        names = sorted(symbol for symbol, name in made_of.items() if name == finer)
        notes.append(f"daily bars of {listed(names)} were made of {finer} bars")
    unused = [name for name in bundle.frequencies if name not in (DAILY.name, MINUTE)]
    if unused:
        notes.append(f"bars of {', '.join(unused)} were left out: Zipline has daily and minute bars")
    grid = grid_of(bundle, tuple(used), today)
    if grid.calendar.break_starts is not None and MINUTE in used:
        notes.append(f"{grid.calendar.name} has lunch breaks, over which Zipline's windows of minutes do not reach")
    return OutgoingBars(bundle, grid, made, events.restating), notes


def _looked_at(bars: OutgoingBars) -> tuple[Survey, Survey]:
    """Return what was found in daily and minute bars, all of which can be held."""
    days = limits.survey(bars.daily())
    minutes = limits.survey(bars.minutes(), most_decimals=limits.MOST_DECIMALS)
    limits.refuse("daily", days, bars.bundle.reference)
    limits.refuse("minute", minutes, bars.bundle.reference)
    return days, minutes


def _assets(
    bundle: Bundle, grid: SessionGrid, days: Survey, minutes: Survey
) -> tuple[dict[str, int], dict[str, tuple[date, date]]]:
    """Return sids, and first and last sessions, of the assets that have daily bars: Zipline cannot do without them."""
    spans = {}
    for symbol, (first, last) in days.spans.items():
        more = minutes.spans.get(symbol, (first, last))
        spans[symbol] = (
            grid.sessions[min(first, more[0])].item(),
            grid.sessions[max(last, more[1])].item(),
        )
    return {symbol: bundle.description.assets[symbol].sid for symbol in spans}, spans


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target` that becomes it at the end, and of which nothing is left after an error."""
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    missing = [folder for folder in (target.parent, *target.parents) if not folder.exists()]
    try:
        with translated("write", target):
            temporary.mkdir(parents=True)
        yield temporary
        with translated("write", target):
            temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in dict.fromkeys(missing):
            with suppress(OSError):
                folder.rmdir()
        raise
