from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import ImageError, handles
from aioecrpublic.images.handles import FileHandle, FileRange, OpenFiles
from aioecrpublic.images.threads import acquire_in_thread, map_bounded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def handle(tmp_path: Path) -> FileHandle:
    (tmp_path / "file").write_bytes(b"0123456789")
    return FileHandle(os.open(tmp_path / "file", os.O_RDONLY), "file")


def test_a_descriptor_stays_open_until_its_last_user_is_done(handle: FileHandle) -> None:
    with handle.use() as descriptor:
        handle.close()
        assert handle.closed
        assert os.pread(descriptor, 3, 2) == b"234"
        with pytest.raises(ImageError, match="file: read after it was closed"):
            handle.read_at(0, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_bytes_in_memory_are_had_without_waiting(handle: FileHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether the file system of the tests knows the flag is not the question here.
    preadv = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda descriptor, buffers, offset, _: preadv(descriptor, buffers, offset)
    )
    monkeypatch.setattr(handles, "_NOWAIT", 8)
    buffer = memoryview(bytearray(b"-----"))
    part = FileRange(handle, 2, 7)
    assert part.read_now(1, buffer)
    assert bytes(buffer) == b"34567"
    with pytest.raises(ValueError, match="not within 7 bytes"):
        part.read_now(3, buffer)
    handle.close()
    with pytest.raises(ImageError, match="file: read after it was closed"):
        part.read_now(1, buffer)


def test_a_file_that_became_shorter_is_not_had_without_waiting(tmp_path: Path, handle: FileHandle) -> None:
    os.truncate(tmp_path / "file", 6)
    part = FileRange(handle, 2, 7)
    assert not part.read_now(1, memoryview(bytearray(5)))
    with pytest.raises(ImageError, match="truncated"):
        part.read_at(1, 5)
    handle.close()


@pytest.mark.parametrize("reason", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_bytes_that_would_have_to_be_waited_for_are_left_to_those_who_may_wait(
    handle: FileHandle, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "preadv", refuse)
    assert not handle.read_now(0, memoryview(bytearray(5)))
    monkeypatch.setattr(handles, "_NOWAIT", None)
    assert not handle.read_now(0, memoryview(bytearray(5)))
    handle.close()


def test_an_unclosed_file_is_closed_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    unclosed = FileHandle(descriptor, "file")
    with pytest.warns(ResourceWarning, match="unclosed file file"):
        del unclosed
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_closing_under_many_readers_never_reads_another_file(tmp_path: Path) -> None:
    """Descriptors are reused at once; a read by number after the close would see the other file."""
    (tmp_path / "right").write_bytes(b"right" * 1000)
    (tmp_path / "wrong").write_bytes(b"wrong" * 1000)
    seen: list[bytes] = []

    def read(handle: FileHandle) -> None:
        try:
            while True:
                seen.append(handle.read_at(0, 5000))
        except ImageError:
            return

    for _ in range(30):
        handle = FileHandle(os.open(tmp_path / "right", os.O_RDONLY), "right")
        threads = [threading.Thread(target=read, args=(handle,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        handle.close()
        others = [os.open(tmp_path / "wrong", os.O_RDONLY) for _ in range(5)]
        for thread in threads:
            thread.join()
        for other in others:
            os.close(other)
    assert all(data == b"right" * 1000 for data in seen)


def test_short_reads_are_put_together(handle: FileHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: pread(fd, min(length, 3), offset))
    assert handle.read_at(1, 8) == b"12345678"
    with pytest.raises(ImageError, match="file: ends at byte 10, where 1 more are needed; it was truncated"):
        handle.read_at(4, 7)
    handle.close()


def test_short_writes_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = FileHandle(os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT), "out")
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    handle.write_at(0, b"0123456789")
    assert handle.read_at(0, 10) == b"0123456789"
    handle.close()


def test_an_input_error_is_an_image_error(handle: FileHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ImageError, match="file: cannot be read: Input/output error"):
        handle.read_at(0, 1)
    handle.close()


def test_ranges_of_ranges(handle: FileHandle) -> None:
    inner = FileRange(handle, 2, 6).part(1, 4)
    assert len(inner) == 4
    assert inner.read_at(0, 4) == b"3456"
    with pytest.raises(ValueError, match="not within 4 bytes"):
        inner.read_at(1, 4)
    handle.close()


def test_after_closing_nothing_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = OpenFiles()
    files.adopt(os.open(tmp_path / "file", os.O_RDONLY), "first")
    files.close()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    with pytest.raises(ImageError, match="second: opened after it was closed"):
        files.adopt(descriptor, "second")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


class TestAcquireInThread:
    async def test_the_result_is_delivered(self) -> None:
        disposed: list[int] = []
        assert await acquire_in_thread(lambda: 7, disposed.append) == 7
        assert disposed == []

    @pytest.mark.parametrize("finish_first", [True, False])
    async def test_what_a_cancelled_caller_would_have_got_is_disposed_of(self, *, finish_first: bool) -> None:
        disposed: list[int] = []
        started, go, done = threading.Event(), threading.Event(), threading.Event()

        def work() -> int:
            started.set()
            go.wait(10)
            return 7

        def dispose(value: int) -> None:
            disposed.append(value)
            done.set()

        task = asyncio.create_task(acquire_in_thread(work, dispose))
        await asyncio.to_thread(started.wait)
        if finish_first:
            go.set()
            time.sleep(0.05)  # ruff: ignore[blocking-sleep-in-async-function] - the loop must not see the result
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await asyncio.to_thread(done.wait, 10)
        assert disposed == [7]


class TestMapBounded:
    async def test_results_are_in_order_and_few_run_at_once(self) -> None:
        running = 0
        most = 0

        async def double(number: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(10 - number % 10):
                await asyncio.sleep(0)
            running -= 1
            return 2 * number

        assert await map_bounded(double, range(50), limit=4) == [2 * number for number in range(50)]
        assert most == 4
        assert await map_bounded(double, [], limit=4) == []

    async def test_the_first_failure_stops_the_rest_and_is_raised_as_it_is(self) -> None:
        ended: list[int] = []
        started: list[int] = []

        async def work(number: int) -> None:
            started.append(number)
            if number == 2:
                raise ImageError("two")
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(number)

        with pytest.raises(ImageError, match=r"^two$"):
            await map_bounded(work, range(10), limit=4)
        assert sorted(ended) == [0, 1, 3]
        assert sorted(started) == [0, 1, 2, 3]

    async def test_cancelling_leaves_everyone_the_time_to_clean_up(self) -> None:
        ended: list[int] = []

        async def work(number: int) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                # They end one after another, and none is stopped because another has ended.
                for _ in range(number + 1):
                    await asyncio.sleep(0)
                ended.append(number)

        working = asyncio.create_task(map_bounded(work, range(4), limit=4))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert ended == [0, 1, 2, 3]
