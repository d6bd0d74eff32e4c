"""Tests that ship with RustyBT: what a source written elsewhere must pass. Needs pytest."""

from rustybt.testing.source_contract import SourceContract

__all__ = ["SourceContract"]
