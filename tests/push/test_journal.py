from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
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


@pytest.mark.parametrize(
    "content", [b"no database at all, whatever it is" * 50, b"SQLite format 3\0" + b"\xff" * 5000]
)
async def test_a_damaged_file_is_set_aside(
    tmp_path: Path, destination: Destination, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    async with Journal(path) as journal:
        assert journal.damaged is not None
        assert journal.damaged.path == str(path)
        await journal.confirm(destination, DIGEST, "u", 5)
        assert await journal.find(destination, DIGEST) == Left("u", 5)
    assert (tmp_path / "journal.damaged-1").read_bytes() == content
    assert "is damaged" in caplog.text


async def test_another_programs_database_is_set_aside_whole(tmp_path: Path, destination: Destination) -> None:
    path = tmp_path / "journal"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE precious (x)")
    foreign.execute("INSERT INTO precious VALUES (42)")
    foreign.commit()
    foreign.close()
    async with Journal(path) as journal:
        assert journal.damaged is not None
        assert await journal.find(destination, DIGEST) is None
    kept = sqlite3.connect(journal.damaged.moved_to)
    assert kept.execute("SELECT x FROM precious").fetchall() == [(42,)]
    kept.close()


async def test_two_pushes_cannot_use_one_journal(tmp_path: Path, destination: Destination) -> None:
    async with Journal(tmp_path / "journal") as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
        with pytest.raises(PushError, match="in use by another push"):
            async with Journal(tmp_path / "journal"):
                pass


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PushError, match="no/such/journal"):
        async with Journal(tmp_path / "no/such/journal"):
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
        assert journal.damaged is None
