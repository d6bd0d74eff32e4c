"""All commands of ``rustybt cache`` together."""

from rustybt.cli import cache_warm
from rustybt.cli.cache import app

__all__ = ["app", "cache_warm"]
