"""Serve bars: windows of (bar x asset) arrays, adjusted as of the simulation's clock."""

from rustybt.data.portal.bar_data import BarData
from rustybt.data.portal.bar_provider import BarProvider
from rustybt.data.portal.portal import PolarsDataPortal
from rustybt.data.portal.providers.combined_bars import CombinedBars
from rustybt.data.portal.providers.memory_bars import MemoryBars
from rustybt.data.portal.providers.source_bars import SourceBars, bars_of

__all__ = ["BarData", "BarProvider", "CombinedBars", "MemoryBars", "PolarsDataPortal", "SourceBars", "bars_of"]
