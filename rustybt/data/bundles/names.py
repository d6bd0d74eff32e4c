"""Bundle names and references: what a user may type, parsed at the door."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from rustybt.errors import BundleNameError, RequestError

MAX_NAME_LENGTH = 100
_MAX_NAME_BYTES = 200
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789\u00b9\u00b2\u00b3"),
}
_HELP = "use letters, digits, '-', '_', '.' and inner spaces, e.g. us-equities"
_HASH = re.compile(r"sha256:([0-9a-f]{4,64})")
_OPERATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_CACHE_NAME = re.compile(r"cache-[0-9a-f]{24}")
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def check_bundle_name(name: str) -> str:
    """Return `name` if it is one safe path part on every file system, normalized to NFC.

    Raises
    ------
    BundleNameError
        Empty, too long, a path, a Windows device, a trailing dot or space, or a character that some file system or
        the reference syntax (``name@version``) reserves.
    """
    if not isinstance(name, str) or not name:
        raise BundleNameError("a bundle needs a name", hint=_HELP)
    shown = name if len(name) <= MAX_NAME_LENGTH else name[:40] + "…"
    # Lock files carry the folded name, which may be longer.
    size = max(len(text.encode("utf-8", "surrogatepass")) for text in (name, name.casefold()))
    if len(name) > MAX_NAME_LENGTH or size > _MAX_NAME_BYTES:
        raise BundleNameError(
            f"bundle name {shown!r} is too long: {len(name)} characters, at most {MAX_NAME_LENGTH}", hint=_HELP
        )
    plain = unicodedata.normalize("NFC", name)
    reason = _why_unsafe(plain)
    if reason:
        raise BundleNameError(f"bundle name {shown!r} {reason}", hint=_HELP, name=name)
    return plain


def _why_unsafe(name: str) -> str | None:
    bad = sorted({c for c in name if not (c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") or c in "-_. '")})
    if bad:
        return f"holds {' '.join(map(repr, bad[:5]))}"
    if not (name[0].isalnum() or name[0] == "_"):
        return f"starts with {name[0]!r}"
    if name[-1] in ". ":
        return f"ends with {name[-1]!r}"
    if name.split(".", maxsplit=1)[0].strip().casefold() in _DEVICES:
        return "is a device name on Windows"
    if is_cache_name(name):
        return "is one that the cache gives to what it keeps"
    return None


def is_cache_name(name: str) -> bool:
    """Return whether `name` is that of a dataset of the cache, hidden among the bundles of a home."""
    return _CACHE_NAME.fullmatch(name.casefold()) is not None


def bundle_of_path(path: str | Path) -> tuple[Path, str]:
    """Split a bundle's folder into its home and its name: the last part is the bundle, its parent the home."""
    folder = Path(path).expanduser().absolute()
    return folder.parent, check_bundle_name(folder.name)


def check_op_id(op_id: str) -> str:
    """Return `op_id` if it can be part of a file's name.

    Raises
    ------
    RequestError
        It is empty, longer than 64 characters, or holds other characters than letters, digits, ``-``, ``_`` and ``.``.
    """
    if not _OPERATION.fullmatch(op_id):
        raise RequestError(
            f"{op_id[:80]!r} cannot be an operation's id", hint="use letters, digits, '-', '_' and '.', e.g. a UUID"
        )
    return op_id


def check_tag(tag: str) -> str:
    """Return `tag` if it can stand behind the ``@`` of a reference.

    Raises
    ------
    RequestError
        It starts with a digit (that would be a version), is the word ``latest`` in any case, or holds odd characters.
    """
    if not _TAG.fullmatch(tag) or tag.casefold() == "latest":
        raise RequestError(
            f"{tag!r} cannot be a tag", hint="start with a letter; then letters, digits, '-', '_' and '.'; not 'latest'"
        )
    return tag


@dataclass(frozen=True, slots=True)
class BundleReference:
    """A bundle and which of its versions: ``us``, ``us@3``, ``us@latest``, ``us@TAG`` or ``us@sha256:3f9c``.

    At most one of `version`, `tag` and `hash_prefix` is set; none means the latest version.
    """

    name: str
    version: int | None = None
    tag: str | None = None
    hash_prefix: str | None = None

    @classmethod
    def parse(cls, text: str | BundleReference) -> BundleReference:
        """Return the reference that `text` spells.

        Raises
        ------
        BundleNameError
            The part before the ``@`` is not a bundle name.
        RequestError
            The part behind it is no version, tag or hash prefix.
        """
        if isinstance(text, BundleReference):
            return text
        name, at, selector = str(text).partition("@")
        name = check_bundle_name(name)
        if not at or selector == "latest":
            return cls(name)
        if selector.isascii() and selector.isdigit():
            if len(selector) > 9 or int(selector) < 1:
                raise RequestError(f"{text!r}: versions count from 1", hint=f"rustybt bundle versions {name}")
            return cls(name, version=int(selector))
        if selector.startswith("sha256:"):
            found = _HASH.fullmatch(selector.lower())
            if not found:
                raise RequestError(
                    f"{text!r}: a content hash is 4 to 64 hexadecimal digits", hint=f"rustybt bundle versions {name}"
                )
            return cls(name, hash_prefix=found[1])
        if not _TAG.fullmatch(selector):
            raise RequestError(
                f"{text!r}: behind the @ stands a version, a tag, latest or sha256:PREFIX",
                hint=f"rustybt bundle versions {name}",
            )
        return cls(name, tag=selector)

    def __str__(self) -> str:
        if self.hash_prefix:
            return f"{self.name}@sha256:{self.hash_prefix}"
        selector = self.version or self.tag
        return f"{self.name}@{selector}" if selector else self.name
