"""Blocking work off the event loop, and a bounded number of things at once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class _Handover(Generic[R]):
    """The result of a thread, either delivered or, once nobody waits any more, disposed of."""

    def __init__(self, work: Callable[[], R], dispose: Callable[[R], object]) -> None:
        self._work = work
        self._dispose = dispose
        self._lock = threading.Lock()
        self._abandoned = False
        self._results: list[R] = []

    def run(self) -> R:
        result = self._work()
        with self._lock:
            if not self._abandoned:
                self._results.append(result)
                return result
        self._dispose(result)
        return result

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
        while self._results:
            self._dispose(self._results.pop())


async def acquire_in_thread(work: Callable[[], R], dispose: Callable[[R], object]) -> R:
    """Run `work`, which opens something, in a thread.

    A thread cannot be cancelled. If the caller is, whatever `work` has opened or will still open is given
    to `dispose`, so that nothing leaks.
    """
    handover = _Handover(work, dispose)
    try:
        return await asyncio.to_thread(handover.run)
    except asyncio.CancelledError:
        handover.abandon()
        raise


async def finish_in_thread(work: Callable[[], object]) -> None:
    """Run `work`, which closes something, in a thread; it is done even if the caller is cancelled.

    Work that still waits for a thread would otherwise never begin.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def map_bounded(
    function: Callable[[T], Awaitable[R]], arguments: Sequence[T], *, limit: int
) -> list[R]:
    """Call `function` for each argument, at most `limit` at a time, and return the results in order.

    The first failure stops the others, is waited for, and is raised as it is (not in a group).
    """
    results: dict[int, R] = {}
    pending = iter(enumerate(arguments))

    async def work() -> None:
        for number, argument in pending:
            results[number] = await function(argument)

    # A task group cancels each of them once. Cancelled twice, one that is closing its files would be stopped
    # at that.
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(arguments))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__
    return [results[number] for number in range(len(arguments))]
