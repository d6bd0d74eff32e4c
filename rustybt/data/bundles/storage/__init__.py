"""Files: the only place that reads and writes bytes of a bundle."""

from rustybt.data.bundles.storage.base import Storage
from rustybt.data.bundles.storage.local import LocalStorage

__all__ = ["LocalStorage", "Storage"]
