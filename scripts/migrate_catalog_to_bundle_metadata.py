"""The migration of the old catalogs as a script: ``rustybt migrate`` with the same options."""

from __future__ import annotations

import sys

from rustybt.cli.main import main
from rustybt.data.migration import migrate_catalogs_to_bundle_metadata

__all__ = ["migrate_catalogs_to_bundle_metadata"]

if __name__ == "__main__":
    main(["migrate", *sys.argv[1:]])
