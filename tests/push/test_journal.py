from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ECRPublicClient, PushError
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.journal import Journal, Left

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
async def destination() -> AsyncIterator[Destination]:
    async with ECRPublicClient(endpoint_url="http://127.0.0.1:1", anonymous=True) as client:
        yield Destination(client, "team/app")


async def test_what_is_confirmed_is_found_again(tmp_path: Path, destination: Destination) -> None:
    async with Journal(tmp_path / "journal") as journal:
        assert await journal.find(destination, DIGEST) is None
        await journal.confirm(destination, DIGEST, "u", 5)
        await journal.confirm(destination, DIGEST, "u", 9)
    async with Journal(tmp_path / "journal") as journal:
        assert await journal.find(destination, DIGEST) == Left("u", 9)
        await journal.forget(destination, DIGEST)
        assert await journal.find(destination, DIGEST) is None


async def test_nothing_is_left_behind_when_everything_is_done(
    tmp_path: Path, destination: Destination
) -> None:
    async with Journal(tmp_path / "journal") as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
        await journal.forget(destination, DIGEST)
    assert list(tmp_path.iterdir()) == []


async def test_other_repositories_and_registries_are_other_rows(
    tmp_path: Path, destination: Destination
) -> None:
    async with Journal(tmp_path / "journal") as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
        for other in (
            Destination(destination.client, "team/other"),
            Destination(destination.client, "team/app", "123456789012"),
        ):
            assert await journal.find(other, DIGEST) is None


async def test_two_pushes_cannot_use_one_journal(tmp_path: Path, destination: Destination) -> None:
    async with Journal(tmp_path / "journal") as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
        with pytest.raises(PushError, match=r"^journal .*/journal: in use by another push$"):
            async with Journal(tmp_path / "journal"):
                pass


def _write_until_killed(path: str, ready: object) -> None:
    import asyncio

    async def run() -> None:
        async with ECRPublicClient(endpoint_url="http://127.0.0.1:1", anonymous=True) as client:
            destination = Destination(client, "team/app")
            async with Journal(path) as journal:
                confirmed = 0
                while True:
                    confirmed += 1
                    await journal.confirm(destination, DIGEST, "u", confirmed)
                    ready.value = confirmed  # type: ignore[attr-defined]

    asyncio.run(run())


async def test_what_was_confirmed_survives_kill_9(tmp_path: Path, destination: Destination) -> None:
    path = str(tmp_path / "journal")
    context = multiprocessing.get_context("spawn")
    written = context.Value("q", 0)
    process = context.Process(target=_write_until_killed, args=(path, written))
    process.start()
    while written.value < 50:
        assert process.is_alive()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    async with Journal(path) as journal:
        left = await journal.find(destination, DIGEST)
        assert left is not None
        assert left.confirmed >= written.value


async def test_all_work_is_one_threads(tmp_path: Path) -> None:
    def whose() -> threading.Thread:
        # Long enough for a second thread to be found idle, or made, if there could be one.
        time.sleep(0.01)
        return threading.current_thread()

    async with Journal(tmp_path / "journal") as journal:
        (thread,) = set(await asyncio.gather(*(journal._run(whose) for _ in range(4))))
    assert thread.name.startswith("aioecrpublic-journal")


async def test_closing_is_finished_even_when_it_is_cancelled(
    tmp_path: Path, destination: Destination
) -> None:
    stack, hold = AsyncExitStack(), threading.Event()
    journal = await stack.enter_async_context(Journal(tmp_path / "journal"))
    await journal.confirm(destination, DIGEST, "u", 5)
    busy = asyncio.create_task(journal._run(hold.wait))
    ending = asyncio.create_task(stack.aclose())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.sleep(0.01)
    assert not ending.done()
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await busy
    async with Journal(tmp_path / "journal") as again:
        assert await again.find(destination, DIGEST) == Left("u", 5)


async def test_a_journal_that_is_not_open_says_so(tmp_path: Path, destination: Destination) -> None:
    journal = Journal(tmp_path / "journal")
    for use in (journal.find(destination, DIGEST), journal.forget(destination, DIGEST)):
        with pytest.raises(PushError, match=rf"^journal {tmp_path}/journal is not open$"):
            await use
    await journal.close()


async def test_what_cannot_be_written_is_told(tmp_path: Path, destination: Destination) -> None:
    async with Journal(tmp_path / "journal") as journal:
        with pytest.raises(PushError, match=r"^journal .*/journal: CHECK constraint failed"):
            await journal.confirm(destination, DIGEST, "u", -1)
