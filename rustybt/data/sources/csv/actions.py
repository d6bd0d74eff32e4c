"""Corporate actions from CSV: a file of events, or the dividend and split columns of Zipline's csvdir layout."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.sources.csv.files import find_files
from rustybt.data.sources.csv.reading import CsvBytes, Limits, check_text
from rustybt.data.sources.csv.table import SEPARATORS
from rustybt.data.sources.delivery import QUARANTINE_SCHEMA
from rustybt.data.sources.reading.bar_rows import LINE
from rustybt.errors import BadResponseError, RequestError, RustybtError
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.frequency import DAILY
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.sources.reading.stamps import StampRules

_KINDS = {"dividend": "cash_dividend", "cash": "cash_dividend"}
_COLUMNS = ("symbol", "kind", "ex_date", "ratio", "amount", "currency", "declared_date", "record_date", "pay_date")
_DATES = ("declared_date", "record_date", "pay_date")
# Spellings that say nothing, which almost every row has; a dividend of 1 is one, a split of 1 is none.
_NOTHING = ["0", "0.0", "0.00", ""]
_QUIET = {"dividend": _NOTHING, "split": [*_NOTHING, "1", "1.0"]}


def read_actions(path: str | os.PathLike[str], limits: Limits | None = None) -> tuple[CorporateAction, ...]:
    """Return the events of a CSV with the columns symbol, kind, ex_date and, as the kind needs, ratio or amount.

    A ratio is ``2:1`` (new to old) or a number (``0.1`` for one new share for ten). Optional are currency (USD), declared_date,
    record_date and pay_date. Dates are ISO. ``dividend`` is short for ``cash_dividend``.

    Raises
    ------
    RequestError
        There is no such file.
    BadResponseError
        A column is missing or a row is no event; the message names the line.
    """
    file = find_files(path).files[0]
    stream = CsvBytes(file, limits or Limits())
    parts = []
    for block in stream:
        check_text(block, file)
        parts.append(block.data)
    text = b"".join(parts).decode()
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    names = [(name or "").strip().lower() for name in reader.fieldnames or []]
    missing = [name for name in ("symbol", "kind", "ex_date") if name not in names]
    if missing or len(set(names)) < len(names):
        raise BadResponseError(
            f"{file.label} needs the columns symbol, kind, ex_date, each once; it has {', '.join(names) or 'none'}",
            hint=f"columns are {', '.join(_COLUMNS)}",
            file=file.label,
        )
    reader.fieldnames = names
    actions = []
    for row in reader:
        given = {
            key: (value or "").strip()
            for key, value in row.items()
            if isinstance(key, str) and isinstance(value, str | None)
        }
        if not any(given.values()):
            continue
        try:
            actions.append(_event(given))
        except (RustybtError, ValueError, InvalidOperation, ZeroDivisionError) as error:
            reason = error.message if isinstance(error, RustybtError) else str(error) or "not a number"
            raise BadResponseError(
                f"{file.label} line {reader.line_num} is no corporate action: {reason}",
                hint="such as: AAPL,split,2000-06-21,2:1",
                file=file.label,
                line=reader.line_num,
            ) from error
    return tuple(actions)


def _event(row: Mapping[str, str]) -> CorporateAction:
    kind = row["kind"].lower().replace(" ", "_").replace("-", "_")
    new, old = _ratio(row["ratio"]) if row.get("ratio") else (None, None)
    event = CorporateAction(
        check_symbol(row["symbol"]),
        _KINDS.get(kind, kind),
        date.fromisoformat(row["ex_date"]),
        ratio_new=new,
        ratio_old=old,
        amount=Decimal(row["amount"]) if row.get("amount") else None,
        source="csv",
    )
    if event.amount is not None:
        event = replace(event, currency=row.get("currency") or "USD")
    known = {name: date.fromisoformat(row[name]) if row.get(name) else None for name in _DATES}
    return replace(
        event, declared_date=known["declared_date"], record_date=known["record_date"], pay_date=known["pay_date"]
    )


def _ratio(text: str) -> tuple[Decimal, Decimal]:
    """Return new and old shares of ``2:1``, ``2/1``, ``2-for-1`` or ``2``, as the smallest whole numbers."""
    for mark in (":", "/", "-for-"):
        if mark in text:
            new, old = text.split(mark, 1)
            return Decimal(new.strip()), Decimal(old.strip())
    value = Decimal(text)
    if not value.is_finite():
        raise RequestError(f"ratio {text!r} is not finite", hint="write it as 2:1")
    fraction = Fraction(value)
    return Decimal(fraction.numerator), Decimal(fraction.denominator)


def actions_of_rows(
    rows: pl.DataFrame, rules: StampRules, request: BarRequest, currency: str, labels: list[str], source: str = "csvdir"
) -> tuple[list[CorporateAction], pl.DataFrame]:
    """Return the events in the text columns `dividend` and `split`, and the rows whose event cannot be read.

    A split of 2 is two new shares for one, as Zipline's csvdir has it; 1 and 0 are none, and so is a dividend of 0. The date is
    the one printed in the row, in minute files as well.

    Parameters
    ----------
    source
        Who says so, see `CorporateAction`.
    """
    named = [name for name in ("dividend", "split") if name in rows.columns]
    loud = pl.any_horizontal(
        pl.lit(value=False), *(pl.col(name).is_not_null() & ~pl.col(name).is_in(_QUIET[name]) for name in named)
    )
    rows = rows.filter(loud)
    stamps = replace(rules, frequency=DAILY).read(rows["timestamp"])
    rows = rows.with_columns(stamps.labels.alias("ex_date")).filter(request.in_range("ex_date").alias("wanted"))
    events: dict[str, CorporateAction] = {}
    bad: list[tuple[str, str, str, str, str]] = []
    for row in rows.iter_rows(named=True):
        for name in named:
            try:
                event = _row_event(row["symbol"], name, row[name], row["ex_date"].date(), currency, source)
            except (RustybtError, ValueError, InvalidOperation):
                where = f"{labels[row['file']]}:{row[LINE]}"
                bad.append((row["symbol"], row["timestamp"], f"{name} cannot be read", where, str(row[name])[:200]))
                continue
            if event is not None:
                events.setdefault(event.event_id, event)
    return list(events.values()), pl.DataFrame(bad, schema=QUARANTINE_SCHEMA, orient="row")


def _row_event(
    symbol: str, name: str, text: str | None, ex_date: date, currency: str, source: str
) -> CorporateAction | None:
    value = Decimal((text or "0").strip())
    if value == 0:
        return None
    if name == "dividend":
        return CorporateAction.cash_dividend(symbol, ex_date, value, currency, source=source)
    new, old = _ratio(format(value, "f"))
    return None if new == old else CorporateAction.split(symbol, ex_date, new, old, source=source)


def check_actions(actions: object, limits: Limits | None = None) -> tuple[tuple[CorporateAction, ...], Path | None]:
    """Return the events of a list or of a file, and the file's path.

    Raises
    ------
    RequestError
        `actions` is neither.
    """
    if actions is None:
        return (), None
    if isinstance(actions, str | os.PathLike):
        path = Path(os.fspath(actions)).expanduser().absolute()
        return read_actions(path, limits), path
    events = tuple(actions) if isinstance(actions, list | tuple) else None
    if events is None or not all(isinstance(event, CorporateAction) for event in events):
        raise RequestError(
            "actions must be a list of CorporateAction, or the path of a CSV of events",
            hint="CorporateAction.split('AAPL', date(2000, 6, 21), 2, 1)",
        )
    return events, None
