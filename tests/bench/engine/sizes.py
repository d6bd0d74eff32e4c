"""How much is measured; BENCH_SMALL=1 tries everything out in a minute, and its figures mean nothing."""

from __future__ import annotations

import os

SMALL = os.environ.get("BENCH_SMALL", "") not in ("", "0")

YEARS = 2 if SMALL else 10
#: Assets of the ranking strategy and of the reads of many.
MANY = 30 if SMALL else 500
MINUTE_ASSETS = 20 if SMALL else 500
MINUTE_MONTHS = 2 if SMALL else 12
SCALED_ASSETS = (10, 30) if SMALL else (10, 100, 500, 2_000)
SCALED_YEARS = (1, 2) if SMALL else (1, 5, 10)
REPEATS = 2 if SMALL else 5
