"""What exactly a result was computed from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Pin:
    """Everything that must be the same for a result to come out the same again.

    Parameters
    ----------
    bundle, version, content_hash
        The data; the hash alone decides, for it does not depend on who downloaded the bars and when.
    calendar, session_hash, calendar_version
        The venue's calendar, the hash of the sessions used (`TradingCalendar.sessions_hash`), and the version of the
        library that knew them.
    start, end
        First and last session, ISO dates, both included; empty when the whole bundle is meant.
    adjustment
        How prices were adjusted for corporate actions when they were read.
    package_version
        Version of rustybt.
    frequency
        Frequency of the bars that were read.
    """

    bundle: str
    version: int
    content_hash: str
    calendar: str = ""
    session_hash: str = ""
    calendar_version: str = ""
    start: str = ""
    end: str = ""
    adjustment: str = ""
    package_version: str = ""
    frequency: str = "1d"

    @property
    def reference(self) -> str:
        """The bundle and version as commands take them: ``us@3``."""
        return f"{self.bundle}@{self.version}"

    def differences(self, other: Pin) -> dict[str, tuple[Any, Any]]:
        """Return each field in which `other` differs, with both values, this pin's first."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: (mine, theirs) for name, mine, theirs in pairs if mine != theirs}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; unknown keys of a newer version are ignored.

        Raises
        ------
        RequestError
            `data` does not name a bundle, a version and a content hash.
        """
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        missing = [name for name in ("bundle", "version", "content_hash") if name not in known]
        if missing:
            raise RequestError(f"not a pin: {', '.join(missing)} missing", hint="take the pin.json of a saved result")
        return cls(**{**known, "version": int(known["version"])})
