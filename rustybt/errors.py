"""Every error RustyBT raises, grouped by what the caller does about it.

::

    RustybtError
    ├── RequestError                 fix the call (also a ValueError)
    │   ├── BundleNameError          choose another name
    │   └── MissingDependencyError   install the extra it names (also an ImportError)
    ├── SourceError                  the vendor or the file did not deliver
    │   ├── SourceUnavailableError   try again later
    │   ├── RateLimitedError         try again after `retry_after_seconds`
    │   ├── AuthenticationError      set the key
    │   ├── SymbolNotFoundError      check the symbol
    │   ├── BadResponseError         the answer or the file is malformed
    │   └── NotCoveredError          ask for less, or go online
    ├── BundleError                  the store
    │   ├── BundleNotFoundError      (also a KeyError)
    │   ├── VersionNotFoundError     (also a KeyError)
    │   ├── ConflictError            another process was faster: run again
    │   ├── CorruptBundleError       bytes on disk are not what was written
    │   ├── SchemaVersionError       upgrade rustybt, or migrate
    │   └── StorageError             disk full, read-only, not permitted (also an OSError)
    ├── DataQualityError             `--strict` found bad rows; carries the report
    ├── LookaheadError               the strategy read past its clock
    └── StrategyError                the strategy script itself failed; names its line
        ├── TradingControlError      an order breaks a rule that the strategy set
        └── AccountControlError      the account breaks one

Each class has a stable ``code`` (shown in JSON and in the docs) and the ``exit_code`` of the command line.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RustybtError(Exception):
    """Base of every error raised on purpose by RustyBT.

    Parameters
    ----------
    message
        What happened, to which bundle, symbol or range, and why.
    hint
        The command or the change that helps; shown on a line of its own.
    **details
        Structured facts, readable as `error.details` and as attributes, and printed by ``--json``.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __getattr__(self, name: str) -> Any:
        details = self.__dict__.get("details", {})
        if name in details:
            return details[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.details))


def _rebuild(kind: type[RustybtError], message: str, hint: str | None, details: dict[str, Any]) -> RustybtError:
    """Rebuild an error that crossed a process border."""
    return kind(message, hint=hint, **details)


class RequestError(RustybtError, ValueError):
    """The call itself cannot be answered: unknown frequency, end before start, no such option."""

    code = "bad-request"
    exit_code = 2


class BundleNameError(RequestError):
    """The bundle name is not usable on every file system."""

    code = "bundle-name"


class MissingDependencyError(RequestError, ImportError):
    """An optional package is needed; the hint is the pip command."""

    code = "missing-dependency"


class SourceError(RustybtError):
    """A source did not deliver what was asked for."""

    code = "source"
    exit_code = 5


class SourceUnavailableError(SourceError):
    """The vendor, or the file, cannot be reached now."""

    code = "source-unavailable"


class RateLimitedError(SourceError):
    """The vendor asks to wait; `retry_after_seconds` says how long."""

    code = "rate-limited"


class AuthenticationError(SourceError):
    """The vendor refuses the key, or none was given."""

    code = "authentication"


#: What one symbol met, every other one would meet as well: a batch ends with it.
CONCERNS_ALL = (AuthenticationError, RateLimitedError, SourceUnavailableError)


class SymbolNotFoundError(SourceError):
    """The source does not know the symbol."""

    code = "symbol-not-found"


class BadResponseError(SourceError, ValueError):
    """The answer, or the file, is not well formed; nothing of it was stored."""

    code = "bad-response"


class NotCoveredError(SourceError):
    """The range is not available here; `missing` lists exactly what is not."""

    code = "not-covered"


class BundleError(RustybtError):
    """The store cannot do what was asked."""

    code = "bundle"
    exit_code = 6


class BundleNotFoundError(BundleError, KeyError):
    """No bundle of that name in this home."""

    code = "bundle-not-found"
    exit_code = 2
    __str__ = RustybtError.__str__


class VersionNotFoundError(BundleError, KeyError):
    """The bundle has no such version, tag or content hash, or it was collected."""

    code = "version-not-found"
    exit_code = 2
    __str__ = RustybtError.__str__


class ConflictError(BundleError):
    """Another writer changed the bundle first; nothing of this write is visible. Run it again."""

    code = "conflict"
    exit_code = 1


class CorruptBundleError(BundleError):
    """A stored file is missing or its bytes are not those that were written; names `file` and `bundle`."""

    code = "corrupt-bundle"


class SchemaVersionError(BundleError):
    """The metadata database was written by a newer rustybt."""

    code = "schema-version"


class StorageError(BundleError, OSError):
    """The file system refused: disk full, read-only, not permitted. Nothing acknowledged was lost."""

    code = "storage"
    exit_code = 1
    __str__ = RustybtError.__str__


class DataQualityError(RustybtError):
    """Bars break a quality rule and the caller asked to be strict; `report` says which and where."""

    code = "data-quality"
    exit_code = 4


class LookaheadError(RustybtError):
    """A read past the simulation's clock."""

    code = "lookahead"


class StrategyError(RustybtError):
    """The user's strategy raised; the message names the script, the line and the original error."""

    code = "strategy"


class TradingControlError(StrategyError):
    """An order breaks a rule that the strategy set; the message names rule, order and session. It was not placed."""

    code = "trading-control"


class AccountControlError(StrategyError):
    """The account breaks a rule that the strategy set, at the end of the session that the message names."""

    code = "account-control"


#: Zipline's names.
TradingControlViolation = TradingControlError
AccountControlViolation = AccountControlError
