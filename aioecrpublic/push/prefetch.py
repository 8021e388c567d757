"""A part that is read and hashed while the one before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aioecrpublic._runtime.call import Call
    from aioecrpublic.push.budget import MemoryBudget


class PreparedPart:
    """A part that is being read and hashed, and the memory that it takes until it is released.

    Args:
        preparing: Reads and hashes it; gives the call that sends it.
        budget: What its memory was taken from.
        memory: How many bytes of it.
        first: Its first byte within the layer.
        length: How many bytes it has.
    """

    def __init__(
        self, preparing: Coroutine[Any, Any, Call], budget: MemoryBudget, memory: int, first: int, length: int
    ) -> None:
        self.first = first
        self.last: int = first + length - 1
        self._budget = budget
        self._memory = memory
        self._given_up = False
        self._task = asyncio.create_task(preparing)

    async def ready(self) -> Call:
        """The call that sends it, ready to be made."""
        return await self._task

    def give_up(self) -> None:
        """Give its memory back as soon as it is not used any more, whether it was sent or not."""
        if not self._given_up:
            self._given_up = True
            self._task.cancel()
            self._task.add_done_callback(self._ended)

    async def release(self) -> None:
        """Give it up, and wait until its memory is back."""
        self.give_up()
        await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[Call]) -> None:
        self._budget.release(self._memory)
        if not task.cancelled():
            # Nobody waits for it, so its failure, if there is one, need not be seen.
            task.exception()
