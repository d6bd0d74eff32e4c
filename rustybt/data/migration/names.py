"""Names of bundles: old programs allowed more of them."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING

from rustybt.data.bundles.names import MAX_NAME_LENGTH, check_bundle_name
from rustybt.errors import BundleNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_LONGEST_STEM = MAX_NAME_LENGTH - 20


def new_names(old: Iterable[str], known: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """Return the name of each old bundle in the home.

    A name that can be kept is kept. Another one gets ``_`` for each character that it may not hold; where that is taken, also
    in other case, a number behind it.

    Parameters
    ----------
    known
        Old name -> name, of bundles that were brought over before.
    taken
        Folded names of bundles that are in the home for another reason.
    """
    found = {name: known[name] for name in old if name in known}
    used = {*taken, *(name.casefold() for name in found.values())}
    waiting = sorted({*old} - found.keys())
    for name in waiting:
        if _is_allowed(name) and name.casefold() not in used:
            found[name] = name
            used.add(name.casefold())
    for name in waiting:
        if name in found:
            continue
        stem = _allowed(name)
        new, number = stem, 1
        while new.casefold() in used:
            number += 1
            new = f"{stem}-{number}"
        found[name] = new
        used.add(new.casefold())
    return found


def _is_allowed(name: str) -> bool:
    try:
        return check_bundle_name(name) == name
    except BundleNameError:
        return False


def _allowed(name: str) -> str:
    """Return `name` as near as a bundle's name can come to it."""
    plain = unicodedata.normalize("NFC", name)
    for candidate in (plain, _spelled(plain), f"_{_spelled(plain)}", f"{_spelled(plain)}_"):
        try:
            return check_bundle_name(candidate)
        except BundleNameError:
            continue
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem = _spelled(plain).encode()[:_LONGEST_STEM].decode(errors="ignore").strip("._ ")
    try:
        return check_bundle_name(f"{stem}-{digest}")
    except BundleNameError:
        return check_bundle_name(f"bundle-{digest}")


def _spelled(name: str) -> str:
    def keep(character: str) -> bool:
        return (
            character.isalnum() or unicodedata.category(character) in ("Mn", "Mc") or character in "-_. '"
        ) and character.isprintable()

    return "".join(character if keep(character) else "_" for character in name).strip(". ")
