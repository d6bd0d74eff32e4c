"""One strategy over many parameters, on the very same data, in as many processes as there are."""

from __future__ import annotations

from rustybt.sweeps.result import SweepResult
from rustybt.sweeps.running import sweep

__all__ = ["SweepResult", "sweep"]
