"""The memory that parts may take, shared by all layers in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from aioecrpublic.client import ECRPublicClient

MIB = 1024 * 1024
DEFAULT_BUDGET = 64 * MIB


class MemoryBudget:
    """A number of bytes that is lent and given back, first come, first served.

    Args:
        limit: The bytes there are.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used: int = 0
        self.peak: int = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_acquire(self, size: int) -> bool:
        """Take ``size`` bytes if they are there and nobody waits for some."""
        if self._waiting or self.used + self._least(size) > self.limit:
            return False
        self._take(size)
        return True

    async def acquire(self, size: int) -> None:
        """Take ``size`` bytes, once they are there; more than there are in all counts as all."""
        if self.try_acquire(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size)
            else:
                self._waiting.remove((size, turn))
                self._wake()
            raise

    def release(self, size: int) -> None:
        """Give ``size`` bytes back."""
        self.used -= self._least(size)
        self._wake()

    def _least(self, size: int) -> int:
        return min(size, self.limit)

    def _wake(self) -> None:
        while self._waiting and self.used + self._least(self._waiting[0][0]) <= self.limit:
            size, turn = self._waiting.popleft()
            self._take(size)
            turn.set_result(None)

    def _take(self, size: int) -> None:
        self.used += self._least(size)
        self.peak = max(self.peak, self.used)


_shared: WeakKeyDictionary[object, MemoryBudget] = WeakKeyDictionary()


def budget_of(client: ECRPublicClient) -> MemoryBudget:
    """The budget that all pushes through ``client``, and through those derived from it, share."""
    return _shared.setdefault(client._core, MemoryBudget(DEFAULT_BUDGET))  # noqa: SLF001 - what derived clients share
