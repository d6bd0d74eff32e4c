"""Writes the table of deprecated names into docs/coming-over.md: ``python tests/docs/deprecated_names.py``."""

from __future__ import annotations

from pathlib import Path

from rustybt.deprecations import DEPRECATIONS

TARGET = Path(__file__).resolve().parents[2] / "docs" / "coming-over.md"

BEGIN = "<!-- python tests/docs/deprecated_names.py writes this table from rustybt/deprecations.py -->\n"
END = "<!-- end of the table -->\n"


def table() -> str:
    """Return the table as Markdown, in the order of the one in the code."""
    lines = ["| name | use instead | since | goes in |", "|---|---|---|---|"]
    for entry in DEPRECATIONS.values():
        note = f"; {entry.note}" if entry.note else ""
        successor = f"{entry.successor}{note}".replace("|", "\\|")
        lines.append(f"| `{entry.name}` | {successor} | {entry.since} | {entry.removed_in} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return the text of a page with the table between its two marks.

    Raises
    ------
    ValueError
        A mark is not there, or not once.
    """
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    TARGET.write_text(with_table(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
