"""Options of the sources that read files: ``csv`` and ``csvdir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_CSV = "Options of csv"

Path_ = Annotated[
    str,
    typer.Option(
        "--path", metavar="FILE|DIR|GLOB", help="File, directory or glob.", show_default=False, rich_help_panel=_CSV
    ),
]
ColumnMap = Annotated[
    list[str] | None,
    typer.Option(
        "--column-map",
        metavar="K=V,...",
        help="Our column = the file's: close=Last,timestamp=Date.",
        rich_help_panel=_CSV,
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="Z", help="Zone of times without one; UTC if absent.", rich_help_panel=_CSV),
]
DateFormat = Annotated[
    str | None,
    typer.Option("--date-format", metavar="F", help="Such as %d.%m.%Y; found if absent.", rich_help_panel=_CSV),
]
Calendar = Annotated[
    str | None,
    typer.Option("--calendar", metavar="C", help="Trading calendar: XNYS, XETR, 24/7 ...", rich_help_panel=_CSV),
]
AssetType = Annotated[
    str | None, typer.Option("--asset-type", metavar="T", help="equity, crypto, future ...", rich_help_panel=_CSV)
]
Venue = Annotated[
    str | None, typer.Option("--venue", metavar="MIC", help="Exchange of the assets.", rich_help_panel=_CSV)
]
Currency = Annotated[
    str | None, typer.Option("--currency", metavar="CUR", help="Quote currency.", rich_help_panel=_CSV)
]
PriceBasis = Annotated[
    str | None,
    typer.Option(
        "--price-basis",
        metavar="P",
        help="raw, split_adjusted, split_dividend_adjusted or unknown.",
        rich_help_panel=_CSV,
    ),
]
Actions = Annotated[
    Path | None,
    typer.Option(
        "--actions",
        metavar="FILE",
        help="CSV of splits and dividends: symbol,kind,ex_date,ratio ...",
        rich_help_panel=_CSV,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option("--delimiter", metavar="D", help="One of , ; tab |; found if absent.", rich_help_panel=_CSV),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="E", help="Of the text; UTF-8 if absent.", rich_help_panel=_CSV)
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="M",
        help="Decimal mark, . or , (then the other may stand between thousands).",
        rich_help_panel=_CSV,
    ),
]
SkipLines = Annotated[
    int, typer.Option("--skip-lines", metavar="N", min=0, help="Lines before the header.", rich_help_panel=_CSV)
]
Symbol = Annotated[
    str | None,
    typer.Option(
        "--symbol",
        metavar="S",
        help="Symbol of a file without a symbol column, instead of its name.",
        rich_help_panel=_CSV,
    ),
]
BarLabel = Annotated[
    str,
    typer.Option(
        "--bar-label",
        metavar="L",
        help="Which end of an intraday bar its time names: open or close; open if absent.",
        rich_help_panel=_CSV,
    ),
]
CsvDir = Annotated[
    str,
    typer.Option(
        "--csvdir",
        metavar="DIR",
        help="Directory with daily/ or minute/ inside.",
        show_default=False,
        rich_help_panel=_CSV,
    ),
]

#: Parameter -> annotation; the sources take them under these names.
CSV_OPTIONS: dict[str, Any] = {
    "path": Path_,
    "column_map": ColumnMap,
    "timezone": Timezone,
    "date_format": DateFormat,
    "delimiter": Delimiter,
    "encoding": Encoding,
    "decimal": Decimal,
    "skip_lines": SkipLines,
    "symbol": Symbol,
    "bar_label": BarLabel,
    "asset_type": AssetType,
    "venue": Venue,
    "currency": Currency,
    "price_basis": PriceBasis,
    "actions": Actions,
}
