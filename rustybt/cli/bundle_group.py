"""All commands of ``rustybt bundle`` together."""

from rustybt.cli import bundle_care, bundle_check
from rustybt.cli.bundle import app

__all__ = ["app", "bundle_care", "bundle_check"]
