"""Writes the table of deprecated names for the user guide, to stdout: ``python tests/docs/deprecated_names.py``."""

from __future__ import annotations

import sys

from rustybt.deprecations import DEPRECATIONS


def table() -> str:
    """Return the table as Markdown, in the order of the one in the code."""
    lines = ["| name | use instead | goes in |", "|---|---|---|"]
    for entry in DEPRECATIONS.values():
        note = f"; {entry.note}" if entry.note else ""
        lines.append(f"| `{entry.name}` | {entry.successor}{note} | {entry.removed_in} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
