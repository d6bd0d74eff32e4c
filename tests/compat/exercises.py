"""The registry of exercises: each uses deprecated names as code of their time did, and proves that they work.

A module ``exercise_*.py`` of this folder holds them. An exercise takes fixtures by name, as a test does, and must use every name
that it is registered for, each in a line of its own file that spells the name's last word::

    @exercise("rustybt.data.catalog.DataCatalog")
    def the_catalog_is_there(tmp_path):
        assert DataCatalog().list_bundles() == []
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Exercise:
    names: tuple[str, ...]
    run: Callable[..., object]

    def __str__(self) -> str:
        return self.run.__name__


EXERCISES: list[Exercise] = []


def exercise(*names: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function as the exercise of these names."""

    def register(run: Callable[..., object]) -> Callable[..., object]:
        EXERCISES.append(Exercise(names, run))
        return run

    return register


def load_exercises() -> list[Exercise]:
    """Import every module of exercises; return what they registered."""
    for path in sorted(Path(__file__).parent.glob("exercise_*.py")):
        importlib.import_module(f"tests.compat.{path.stem}")
    return EXERCISES
