"""Work that blocks, awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import TypeVar

    _T = TypeVar("_T")


async def run_to_its_end(threads: Executor, work: Callable[..., _T], *arguments: object) -> _T:
    """Run ``work`` in a thread, to its end even if the caller is cancelled.

    So no file is closed under a thread that reads it or writes to it.
    """
    future = asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
