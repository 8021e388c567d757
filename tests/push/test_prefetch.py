from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

from aioecrpublic.push.budget import MemoryBudget
from aioecrpublic.push.prefetch import PreparedPart

if TYPE_CHECKING:
    from collections.abc import Coroutine


def prepared(budget: MemoryBudget, preparing: Coroutine[Any, Any, Any]) -> PreparedPart:
    assert budget.try_acquire(7)
    return PreparedPart(preparing, budget, memory=7, first=20, length=5)


async def test_its_memory_comes_back_once_when_it_is_not_used_any_more() -> None:
    budget, let_go = MemoryBudget(10), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await let_go.wait()

    part = prepared(budget, stubborn())
    assert (part.first, part.last) == (20, 24)
    await asyncio.sleep(0)
    part.give_up()
    part.give_up()
    releasing = asyncio.create_task(part.release())
    await asyncio.sleep(0.01)
    assert (budget.used, releasing.done()) == (7, False)
    let_go.set()
    await releasing
    await part.release()
    assert budget.used == 0


async def test_a_call_that_was_made_ready_is_had_and_its_memory_given_back() -> None:
    async def ready() -> str:
        await asyncio.sleep(0)
        return "a call"

    budget = MemoryBudget(10)
    part = prepared(budget, ready())
    assert await part.ready() == "a call"  # type: ignore[comparison-overlap]
    assert budget.used == 7
    await part.release()
    assert budget.used == 0


async def test_a_failure_that_nobody_waits_for_is_not_reported() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError("the file is gone")

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("the file is gone")

    budget = MemoryBudget(10)
    for failing in (fail, fail_when_cancelled):
        part = prepared(budget, failing())
        for _ in range(3):
            await asyncio.sleep(0)
        await part.release()
        await asyncio.sleep(0)
        del part
        gc.collect()
        assert budget.used == 0
    assert complaints == []
