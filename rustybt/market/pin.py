"""What exactly a result was computed from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    parts
        The pins of the bundles that were read together, each as its bundle gives it; empty for one bundle. Then `bundle`
        and `content_hash` are made of theirs as `joined` says, and `version` is 0: there is no such bundle.
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
    parts: tuple[Pin, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[Pin]) -> Self:
        """Return one pin of several bundles that are read together.

        The content hash is the SHA-256 of the parts' hashes, lower case hexadecimal, joined by line feeds, in their order.
        """
        digests = "\n".join(part.content_hash.removeprefix("sha256:") for part in parts)
        return cls(
            bundle="+".join(part.bundle for part in parts),
            version=0,
            content_hash=hashlib.sha256(digests.encode("ascii")).hexdigest(),
            parts=tuple(parts),
        )

    @property
    def bundles(self) -> tuple[Pin, ...]:
        """One pin for each bundle that was read: the parts, or this pin itself."""
        return self.parts or (self,)

    @property
    def reference(self) -> str:
        """The bundle and version as commands take them: ``us@3``; of several, joined: ``us@3+crypto@5``."""
        return "+".join(part.reference for part in self.parts) or f"{self.bundle}@{self.version}"

    def differences(self, other: Pin) -> dict[str, tuple[Any, Any]]:
        """Return each field in which `other` differs, with both values, this pin's first."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: (mine, theirs) for name, mine, theirs in pairs if mine != theirs}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `parts` only where there are some."""
        plain = asdict(self)
        parts = plain.pop("parts")
        return {**plain, "parts": [part.to_json() for part in self.parts]} if parts else plain

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
        parts = tuple(cls.from_json(part) for part in known.get("parts") or ())
        return cls(**{**known, "version": int(known["version"]), "parts": parts})
