"""Blocking work in a thread that learns when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class CancellationToken:
    """Tells blocking work that its caller has been cancelled: a thread cannot be, so its work has to ask."""

    def __init__(self) -> None:
        self._event = Event()

    def cancel(self) -> None:
        """End the work at its next check."""
        self._event.set()

    def raise_if_cancelled(self) -> None:
        """Raise if nobody waits for the work any more.

        Raises:
            CancelledError: The caller was cancelled.
        """
        if self._event.is_set():
            raise CancelledError

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            CancelledError: As ``raise_if_cancelled``; at once when the caller is cancelled.
        """
        self._event.wait(seconds)
        self.raise_if_cancelled()


async def call_in_thread(work: Callable[[CancellationToken], T]) -> T:
    """Call ``work`` in a thread; if the caller is cancelled, the work is told and ends at its next check."""
    token = CancellationToken()
    try:
        return await asyncio.to_thread(work, token)
    except asyncio.CancelledError:
        token.cancel()
        raise
