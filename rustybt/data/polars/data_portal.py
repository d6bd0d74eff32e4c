"""The seed's path to the data portal."""

from rustybt.data.portal.portal import PolarsDataPortal

__all__ = ["PolarsDataPortal"]
