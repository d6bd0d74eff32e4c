"""Makes adapters that ask a vendor's stand-in, and closes them."""

import contextlib

from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.transport import Transport
from rustybt.data.sources import bridge
from tests.fakes import market


@contextlib.contextmanager
def maker_of(kind, retry):
    """Give a maker of adapters of one kind, all closed at the end."""
    made = []

    def build(server, transport=None, client=None, now=market.NOW, **options):
        connection = Connection(
            transport or Transport(base_url=server.url, timeout_seconds=5.0),
            requests_per_minute=0,
            retry=retry,
            client=client,
            clock=lambda: now,
        )
        made.append(kind(connection, **options))
        return made[-1]

    yield build
    for adapter in made:
        bridge.run(adapter.close())
