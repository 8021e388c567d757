"""Files read for replies: at once where that takes no waiting, else in a thread, and never less than all."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from aioecrpublic.local import reading
from aioecrpublic.local.reading import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(100))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    (tmp_path / "file").write_bytes(DATA)
    with (tmp_path / "file").open("rb") as opened:
        yield opened


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


class Memory:
    """What the system has in memory: the first bytes of the file, of which none has to be waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size: int, at_most: int = 1000) -> None:
        self.waited_in: list[threading.Thread] = []
        self._size = size
        self._at_most = at_most
        self._preadv = os.preadv
        monkeypatch.setattr(os, "preadv", self._read)
        monkeypatch.setattr(reading, "_NOWAIT", 8)

    def _read(self, descriptor: int, buffers: list[Any], offset: int, flags: int = 0) -> int:
        (buffer,) = buffers
        there = self._at_most
        if flags:
            there = self._size - offset
            if there <= 0:
                raise BlockingIOError(errno.EAGAIN, "not in memory")
        else:
            self.waited_in.append(threading.current_thread())
        return self._preadv(descriptor, [memoryview(buffer)[:there]], offset)


async def test_what_is_in_memory_takes_no_thread(
    file: BinaryIO, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, 100)
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had a turn")
    assert await read_at(threads, file, 10, 90) == DATA[10:]
    assert others == ["had a turn"]
    assert memory.waited_in == []


@pytest.mark.parametrize("size", [0, 10, 11, 99])
async def test_what_is_not_in_memory_is_waited_for_in_a_thread(
    file: BinaryIO, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    memory = Memory(monkeypatch, size, at_most=40)
    assert await read_at(threads, file, 10, 90) == DATA[10:]
    assert threading.main_thread() not in memory.waited_in
    assert len(memory.waited_in) == (1 if size == 99 else 3)


async def test_a_system_that_cannot_tell_is_asked_in_a_thread(
    file: BinaryIO, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, 100)
    monkeypatch.setattr(reading, "_NOWAIT", None)
    assert await read_at(threads, file, 0, 7) == DATA[:7]
    assert threading.main_thread() not in memory.waited_in
    assert len(memory.waited_in) == 1


async def test_a_file_that_became_shorter(file: BinaryIO, threads: ThreadPoolExecutor) -> None:
    with pytest.raises(EOFError, match="shorter than it was"):
        await read_at(threads, file, 90, 11)
