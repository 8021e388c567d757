from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic import ECRPublicClient
from aioecrpublic.push.budget import DEFAULT_BUDGET, MemoryBudget, budget_of


def test_bytes_are_lent_until_there_are_none() -> None:
    budget = MemoryBudget(10)
    assert budget.try_acquire(6)
    assert not budget.try_acquire(6)
    assert budget.try_acquire(4)
    budget.release(6)
    assert budget.try_acquire(6)


async def test_turns_are_given_in_order_of_asking() -> None:
    budget = MemoryBudget(10)
    await budget.acquire(10)
    order: list[int] = []

    async def borrow(size: int) -> None:
        await budget.acquire(size)
        order.append(size)

    tasks = [asyncio.create_task(borrow(size)) for size in (8, 1, 2)]
    await asyncio.sleep(0)
    assert not budget.try_acquire(0), "nobody overtakes those who wait"
    budget.release(10)
    await asyncio.sleep(0)
    assert order == [8, 1]
    budget.release(8)
    await asyncio.gather(*tasks)
    assert order == [8, 1, 2]


async def test_more_than_there_is_counts_as_all() -> None:
    budget = MemoryBudget(10)
    await budget.acquire(25)
    assert budget.used == 10
    budget.release(25)
    assert budget.used == 0


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    budget = MemoryBudget(10)
    await budget.acquire(9)
    waiting = asyncio.create_task(budget.acquire(5))
    behind = asyncio.create_task(budget.acquire(1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await behind
    assert budget.used == 10


async def test_cancelled_in_the_moment_of_its_turn() -> None:
    budget = MemoryBudget(10)
    await budget.acquire(10)
    waiting = asyncio.create_task(budget.acquire(5))
    await asyncio.sleep(0)
    budget.release(10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used == 0


@given(sizes=st.lists(st.integers(1, 12), max_size=30), limit=st.integers(1, 12))
@settings(max_examples=60)
def test_never_more_than_the_limit_and_everybody_has_a_turn(sizes: list[int], limit: int) -> None:
    async def run() -> None:
        budget = MemoryBudget(limit)
        served = 0

        async def borrow(size: int) -> None:
            nonlocal served
            await budget.acquire(size)
            assert budget.used <= limit
            await asyncio.sleep(0)
            budget.release(size)
            served += 1

        async with asyncio.timeout(5):
            await asyncio.gather(*(borrow(size) for size in sizes))
        assert served == len(sizes)
        assert budget.used == 0
        assert budget.peak <= limit

    asyncio.run(run())


def test_derived_clients_share_a_budget() -> None:
    client = ECRPublicClient(endpoint_url="http://127.0.0.1:1", anonymous=True)
    assert budget_of(client) is budget_of(client.with_options(max_attempts=1))
    assert budget_of(client).limit == DEFAULT_BUDGET
    other = ECRPublicClient(endpoint_url="http://127.0.0.1:1", anonymous=True)
    assert budget_of(client) is not budget_of(other)
