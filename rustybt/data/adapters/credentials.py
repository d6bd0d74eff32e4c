"""Keys: from the vendor's usual environment variable, then the keyring, then a file that only its owner can read.

The file is ``credentials.toml`` beside the user's settings (mode 0600), a table for each source and in it the names of the
environment variables::

    [polygon]
    MASSIVE_API_KEY = "..."

In the keyring a key is the password of the service ``rustybt`` and of the user that is called like the variable. Keys are
never taken from the command line, for every user of the machine can read that.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import threading
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from rustybt.data.adapters import key_file
from rustybt.data.adapters.redaction import redact, remember
from rustybt.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["KEYRING_SERVICE", "KEY_VARIABLES", "Secret", "digest", "load_key", "redact"]

KEYRING_SERVICE = "rustybt"
#: How long the keyring may take; one that is locked may be asking its user on a screen nobody sees.
KEYRING_TIMEOUT_SECONDS = 5.0
#: The keys of each source, and for each the variables that may hold it, the usual one first.
KEY_VARIABLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "polygon": (("MASSIVE_API_KEY", "POLYGON_API_KEY"),),
    "alpaca": (("APCA_API_KEY_ID", "ALPACA_API_KEY"), ("APCA_API_SECRET_KEY", "ALPACA_SECRET_KEY")),
    "alphavantage": (("ALPHAVANTAGE_API_KEY", "ALPHA_VANTAGE_API_KEY"),),
}


class Secret:
    """A key that shows itself only when asked.

    Printing, formatting, logging and JSON show ``***``; it cannot be pickled. Two are equal when the keys are.

    Raises
    ------
    ValueError
        It is empty, or has characters that no key has; the text does not say which.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        cleaned = value.strip()
        if not cleaned or not all("!" <= character <= "~" for character in cleaned):
            raise ValueError("a key is printable ASCII without spaces inside")
        self._value = cleaned
        remember(cleaned)

    def reveal(self) -> str:
        """Return the key, for the request itself and for nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _: Any) -> Secret:
        return self

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a key does not leave its process: load it there")


def digest(*secrets: Secret) -> str:
    """Return 12 hexadecimal digits that stand for the keys in names of accounts; the keys cannot be found from them."""
    joined = "\n".join(secret.reveal() for secret in secrets)
    return hashlib.sha256(b"rustybt account\n" + joined.encode()).hexdigest()[:12]


@overload
def load_key(vendor: str, *variables: str, required: Literal[True] = True) -> Secret: ...
@overload
def load_key(vendor: str, *variables: str, required: bool) -> Secret | None: ...


def load_key(vendor: str, *variables: str, required: bool = True) -> Secret | None:
    """Return a key of `vendor`: the first of the environment, the keyring and ``credentials.toml`` that has it.

    Parameters
    ----------
    vendor
        Name of the source, and of the table in the file.
    variables
        Names the key goes by, the usual one first; each place is searched for all of them before the next place.
    required
        False returns None where there is no key.

    Raises
    ------
    AuthenticationError
        There is no key, it is none, or the file can be read by others; the message never holds the key.
    """
    for place, found in _candidates(vendor, variables):
        if not found.strip():
            continue
        try:
            return Secret(found)
        except ValueError as error:
            reason = str(error)
        raise AuthenticationError(
            f"the key of {vendor} in {place} cannot be one: {reason}",
            hint="copy it again from the vendor's page, without quotes or line breaks",
            vendor=vendor,
            concerns_all=True,
        )
    if not required:
        return None
    raise AuthenticationError(
        f"{vendor} needs a key, and {' or '.join(variables)} is set neither in the environment nor in the keyring "
        f"nor in {key_file.path()}",
        hint=f"export {variables[0]}=..., or store it once: rustybt config set-key {vendor}",
        vendor=vendor,
        concerns_all=True,
    )


def _candidates(vendor: str, variables: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every text found, the strongest place first; the weaker are read only when they are reached."""
    for variable in variables:
        yield f"the environment variable {variable}", os.environ.get(variable, "")
    for variable in variables:
        yield f"the keyring ({variable})", _from_keyring(variable) or ""
    stored = key_file.read(vendor)
    for variable in variables:
        yield f"{key_file.path()} ({variable})", stored.get(variable, "")


def _from_keyring(variable: str) -> str | None:
    """Return the keyring's password; None where it is not installed, has none, is broken, or does not answer in time."""
    if importlib.util.find_spec("keyring") is None:
        return None
    answers: list[str | None] = []

    def ask() -> None:
        try:
            import keyring

            answers.append(keyring.get_password(KEYRING_SERVICE, variable))
        except Exception as error:  # noqa: BLE001  back ends raise whatever their desktop does; the file comes next
            _log_keyring(type(error).__name__)

    # A daemon: a keyring that waits for somebody to unlock it must not hold up the program, nor its end.
    thread = threading.Thread(target=ask, name="rustybt-keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_TIMEOUT_SECONDS)
    if thread.is_alive():
        _log_keyring("it does not answer")
    return answers[0] if answers else None


def _log_keyring(reason: str) -> None:
    from rustybt.logging import get_logger

    get_logger(__name__).debug("keyring_unusable", reason=reason)
