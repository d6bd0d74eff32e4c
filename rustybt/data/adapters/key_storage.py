"""Storing a vendor's key where `load_key` finds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rustybt.data.adapters import key_file
from rustybt.data.adapters.credentials import KEY_VARIABLES, KEYRING_SERVICE, Secret
from rustybt.errors import AuthenticationError, MissingDependencyError, RequestError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def variables_of(source: str, variable: str | None = None) -> list[str]:
    """Return the names under which the keys of `source` are stored.

    Parameters
    ----------
    variable
        The name, for a source that is not of this package.

    Raises
    ------
    RequestError
        It is not known which keys the source has.
    """
    if variable is not None:
        return [variable]
    if source not in KEY_VARIABLES:
        raise RequestError(
            f"source {source} needs no key, or it is not known which",
            hint=f"these need one: {', '.join(KEY_VARIABLES)}; for another source name its variable with --variable",
        )
    return [names[0] for names in KEY_VARIABLES[source]]


def is_at_hand(source: str) -> bool:
    """Return whether all keys of `source` are in the environment or in the file; the keyring, which may ask back, is not asked."""
    try:
        stored = key_file.read(source)
    except AuthenticationError:
        stored = {}
    return all(
        any((os.environ.get(name, "") or stored.get(name, "")).strip() for name in names)
        for names in KEY_VARIABLES.get(source, ())
    )


def store(source: str, keys: Mapping[str, str], *, in_keyring: bool = False) -> str:
    """Store keys by the name of their variable, all or none, and return where.

    Raises
    ------
    RequestError
        A key is empty or cannot be one; the message does not hold it.
    MissingDependencyError
        There is no keyring package.
    StorageError
        The file or the keyring refuses.
    """
    checked = {name: _checked(name, key) for name, key in keys.items()}
    if not in_keyring:
        return str(key_file.write(source, {name: secret.reveal() for name, secret in checked.items()}))
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise MissingDependencyError("storing keys in a keyring needs keyring", hint="pip install keyring") from None
    try:
        for name, secret in checked.items():
            keyring.set_password(KEYRING_SERVICE, name, secret.reveal())
    except (KeyringError, RuntimeError, OSError) as error:
        # Without its text, which is the back end's own.
        kind = type(error).__name__
    else:
        return "the keyring"
    raise StorageError(f"the keyring does not take the key: {kind}", hint="store it in the file: without --keyring")


def _checked(name: str, key: str) -> Secret:
    try:
        return Secret(key)
    except ValueError as error:
        reason = str(error)
    raise RequestError(
        f"{name}: this cannot be a key: {reason}", hint="copy it from the vendor's page; nothing was stored"
    )
