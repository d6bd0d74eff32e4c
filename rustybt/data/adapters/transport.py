"""How a vendor is reached: every source takes the same four options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rustybt.config import parse_duration
from rustybt.errors import RequestError

if TYPE_CHECKING:
    import os

DEFAULT_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, repr=False)
class Transport:
    """Where requests go and how; use `Transport.create`.

    Parameters
    ----------
    base_url
        Replaces the vendor's own address: a proxy of one's company, a recorded or a fake server. None is the vendor's.
    proxy
        HTTP proxy that every request goes through; may hold a user and a password, which are never written anywhere.
    ca_bundle
        File of the certificates to trust, PEM.
    timeout_seconds
        Longest wait for an answer, connection included.
    """

    base_url: str | None = None
    proxy: str | None = None
    ca_bundle: str | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS

    @classmethod
    def create(
        cls,
        base_url: str | None = None,
        proxy: str | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        timeout_seconds: Any = None,
    ) -> Transport:
        """Return the checked options.

        Raises
        ------
        RequestError
            An address is no http(s) URL, `base_url` holds a password, the certificates are not there, or the time is none.
        """
        base = None if not base_url else _checked(base_url, "base_url")
        if base is not None and "@" in urlsplit(base).netloc:
            raise RequestError("base_url must not hold a user or password", hint="keys come from the environment")
        bundle = None if not ca_bundle else str(Path(ca_bundle).expanduser().absolute())
        if bundle is not None and not Path(bundle).is_file():
            raise RequestError(f"ca_bundle {bundle} is not a file", hint="name a PEM file of certificates to trust")
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout_seconds is None else parse_duration(_number(timeout_seconds))
        if seconds <= 0:
            raise RequestError("timeout_seconds must be above 0", hint="30 is usual")
        return cls(
            None if base is None else base.rstrip("/"), None if not proxy else _checked(proxy, "proxy"), bundle, seconds
        )

    def options(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as JSON; a proxy without its user and password."""
        found: dict[str, Any] = {}
        if self.base_url is not None:
            found["base_url"] = self.base_url
        if self.proxy is not None:
            found["proxy"] = without_credentials(self.proxy)
        if self.ca_bundle is not None:
            found["ca_bundle"] = self.ca_bundle
        if self.timeout_seconds != DEFAULT_TIMEOUT_SECONDS:
            found["timeout_seconds"] = self.timeout_seconds
        return found

    def __repr__(self) -> str:
        return f"Transport({self.options()})"


def without_credentials(url: str) -> str:
    """Return `url` without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _checked(url: str, name: str) -> str:
    try:
        parts = urlsplit(str(url).strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        # Not repeated: it may hold a password.
        raise RequestError(f"{name} is not an http or https address", hint=f"write {name} as http://127.0.0.1:8080")
    return str(url).strip()


def _number(value: Any) -> Any:
    """Return text of a plain number as a number, for the command line hands over text."""
    return value.strip() if isinstance(value, str) else value
