"""Tests that ship with RustyBT: what sources, stores and places for files written elsewhere must pass. Needs pytest."""

from rustybt.testing.bars import frame_of_bars
from rustybt.testing.source_contract import SourceContract
from rustybt.testing.storage_contract import StorageContract
from rustybt.testing.store_contract import StoreContract
from rustybt.testing.vendor_contract import FaultServer, VendorContract

__all__ = ["FaultServer", "SourceContract", "StorageContract", "StoreContract", "VendorContract", "frame_of_bars"]
