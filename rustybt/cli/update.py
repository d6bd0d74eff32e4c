"""``rustybt update``: a bundle up to date from the source recorded in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.cache_flags import CacheMode, MaxStale, NoCache, Offline, warnings_told
from rustybt.cli.command import command, new_command
from rustybt.cli.options import BundleName, Strict, open_store
from rustybt.cli.vendors import TRANSPORT, BaseUrl, CaBundle, Parallel, Proxy, RequestsPerMinute, Timeout
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()

RefreshWindow = Annotated[
    str,
    typer.Option("--refresh-window", metavar="T", help="How far before the last stored bar a vendor is asked again."),
]


@command(app)
def update(
    terminal: Terminal,
    *,
    name: BundleName,
    strict: Strict = False,
    refresh_window: RefreshWindow = "7d",
    base_url: BaseUrl = None,
    proxy: Proxy = None,
    ca_bundle: CaBundle = None,
    timeout_seconds: Timeout = None,
    requests_per_minute: RequestsPerMinute = None,
    parallel_requests: Parallel = None,
    no_cache: NoCache = False,
    offline: Offline = False,
    max_stale: MaxStale = None,
) -> int:
    """Bring a bundle up to date from the sources recorded in it.

    A vendor is asked for each symbol from shortly before its last stored bar up to the last final one. A CSV bundle reads
    its files again, from where they were: new rows and new files are taken in. Equal content makes no version.

    Example: rustybt update us
    """
    from rustybt.cli.reports import show_ingest
    from rustybt.config import parse_duration
    from rustybt.data.sources.ingest.update import update_bundle

    given = {
        "base_url": base_url,
        "proxy": proxy,
        "ca_bundle": ca_bundle,
        "timeout_seconds": timeout_seconds,
        "requests_per_minute": requests_per_minute,
        "parallel_requests": parallel_requests,
    }
    cache = CacheMode.of(no_cache=no_cache, offline=offline, max_stale=max_stale)
    overrides = {key: given[key] for key in TRANSPORT if given[key] is not None}

    bare, at, _ = name.partition("@")
    if at:
        raise RequestError(
            f"a version never changes, so {name} cannot be updated", hint=f"rustybt update {bare} makes a new version"
        )
    window = parse_duration(refresh_window)
    with open_store(terminal) as store:
        try:
            with terminal.progress() as progress, warnings_told(terminal):
                reports = update_bundle(
                    name,
                    store=store,
                    strict=strict,
                    progress=progress,
                    refresh_seconds=window,
                    overrides=overrides,
                    use_cache=cache.use_cache,
                    **cache.arguments,
                )
        except KeyboardInterrupt as stop:
            terminal.last_words = str(stop)
            raise
        if terminal.json:
            terminal.data({"updates": reports})
            return max(report.exit_code for report in reports)
        # What is not there stays away for as long as nothing is asked.
        retry = "" if cache.offline else " ".join(["rustybt", "update", name, *cache.words])
        return max(show_ingest(terminal, report, store, retry=retry) for report in reports)
