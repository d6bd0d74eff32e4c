"""When open orders end by themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod


class CancelPolicy(ABC):
    """Decides at the end of each session whether open orders are cancelled."""

    warn_on_cancel: bool = False

    @abstractmethod
    def cancels_at_session_end(self) -> bool:
        """Return whether open orders end with the session."""


class NeverCancel(CancelPolicy):
    """Orders stay open until filled or cancelled; the default."""

    def cancels_at_session_end(self) -> bool:
        """Return False."""
        return False


class EODCancel(CancelPolicy):
    """Orders end with the session; in a daily run, where an order cannot fill in its own session, after the next one."""

    def __init__(self, warn_on_cancel: bool = True) -> None:  # noqa: FBT001, FBT002 - Zipline's signature
        self.warn_on_cancel = warn_on_cancel

    def cancels_at_session_end(self) -> bool:
        """Return True."""
        return True
