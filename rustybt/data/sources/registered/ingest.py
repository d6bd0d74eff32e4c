"""Zipline's ``bundles.ingest``: a registered bundle by its name."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rustybt.data.sources.ingest.report import IngestReport


def ingest(
    name: str,
    environ: Mapping[str, str] = os.environ,
    timestamp: Any = None,
    assets_versions: Iterable[int] = (),
    show_progress: bool = False,  # noqa: FBT001, FBT002  Zipline's signature
) -> IngestReport:
    """Call the function registered as `name` and store what it writes in the bundle of this name in the configured home.

    Parameters
    ----------
    environ
        Handed to the function; names the default ``extension.py`` where nothing of this name is registered in the process.
    timestamp, assets_versions
        Taken, without a meaning: versions are numbered, and there is no database of assets to turn back.

    Raises
    ------
    RequestError
        Nothing is registered under the name, or the function failed or wrote no bars.
    """
    del timestamp, assets_versions
    from rustybt.data.sources.registered.source import RegisteredBundleSource

    with closing(RegisteredBundleSource(name, environ=environ, show_progress=show_progress)) as source:
        return source.ingest_to_bundle(name)
