"""Archives on standard input."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import os
import pty
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from aioecrpublic.images import DockerArchive, ImageError, OCIArchive, open_image
from aioecrpublic.images import standard_input as module
from tests.images.helpers import assert_holds, error_of
from tests.support.oci import tar_layout, write_image
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.support.oci import BuiltImage


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    image = write_image(tmp_path / "layout", layer_size=200_000)
    tar_layout(image.directory, tmp_path / "image.tar")
    return image


@pytest.fixture
def archive(image: BuiltImage) -> bytes:
    return (image.directory.parent / "image.tar").read_bytes()


@contextmanager
def piped(
    monkeypatch: pytest.MonkeyPatch, data: bytes = b"", *, end: bool = True
) -> Generator[int, None, None]:
    """Make standard input the end of a pipe into which a thread writes ``data``; yield the other end."""
    reader, writer = os.pipe()
    monkeypatch.setattr(module, "_DESCRIPTOR", reader)

    def write() -> None:
        rest = memoryview(data)
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(writer, rest[:100_000]) :]
        if end:
            os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield writer
    finally:
        os.close(reader)
        if not end:
            os.close(writer)
        thread.join()


@pytest.mark.parametrize("form", [bytes, gzip.compress, zstd.compress, lzma.compress])
@pytest.mark.parametrize("source", ["-", "-:1.0", "oci-archive:-", "oci-archive:-:1.0", "docker-archive:-"])
async def test_an_archive_comes_by_a_pipe(
    image: BuiltImage,
    archive: bytes,
    monkeypatch: pytest.MonkeyPatch,
    form: Callable[[bytes], bytes],
    source: str,
) -> None:
    with piped(monkeypatch, form(archive)):
        async with open_image(source) as opened:
            assert opened.name == source
            await assert_holds(opened, image)


async def test_a_file_is_read_in_place_from_where_it_stands(
    image: BuiltImage, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "with-a-head"
    path.write_bytes(b"head" + archive)
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, 4, os.SEEK_SET)
    monkeypatch.setattr(module, "_DESCRIPTOR", descriptor)
    try:
        for _ in range(2):
            async with OCIArchive("-") as source:
                await assert_holds(source, image)
    finally:
        os.close(descriptor)


async def test_what_is_no_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with piped(monkeypatch, b""):
        assert await error_of(OCIArchive("-")) == "oci-archive:-: not a tar file: empty"
    with piped(monkeypatch, b"x" * 1000):
        assert "not a tar file" in await error_of(DockerArchive("-"))
    terminal, other = pty.openpty()
    directory = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(module, "_DESCRIPTOR", other)
    assert await error_of(open_image("-")) == "-: standard input is a terminal, not an archive"
    monkeypatch.setattr(module, "_DESCRIPTOR", directory)
    assert await error_of(open_image("-")) == "-: standard input is a directory, not an archive"
    for descriptor in (terminal, other, directory):
        os.close(descriptor)
    monkeypatch.setattr(module, "_DESCRIPTOR", directory)
    assert await error_of(open_image("-")) == "-: standard input is closed"


async def test_a_socket_and_a_device(
    image: BuiltImage, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        monkeypatch.setattr(module, "_DESCRIPTOR", ours.fileno())
        source = OCIArchive("-")
        reading = asyncio.create_task(source.open())
        await asyncio.to_thread(theirs.sendall, archive)
        theirs.shutdown(socket.SHUT_WR)
        assert (await reading).digest == image.digest
        await source.close()
    monkeypatch.setattr(module, "MAX_STANDARD_INPUT", 10 * 1024 * 1024)
    zeros = os.open("/dev/zero", os.O_RDONLY)
    monkeypatch.setattr(module, "_DESCRIPTOR", zeros)
    error = await error_of(open_image("-"))
    os.close(zeros)
    assert error == "-: standard input has more than 10485760 bytes"


async def test_how_much_may_come(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = len(archive) - 1
    with piped(monkeypatch, archive):
        error = await error_of(OCIArchive("-", max_unpacked_size=limit))
    assert error == f"oci-archive:-: standard input has more than {limit} bytes"


async def test_a_disk_that_is_full(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # ruff: ignore[open-file-with-context-handler, builtin-open] - a stand-in for it
    with piped(monkeypatch, archive):
        error = await error_of(open_image("-"))
    assert error == "temporary file of -: cannot be written: No space left on device"


async def test_a_wait_ends_when_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on meanwhile, and no thread is left behind, which the process would wait for."""
    with piped(monkeypatch, b"x", end=False):
        task = asyncio.create_task(open_image("-").open())
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            turns += 1
        assert turns == 20
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not module._reading.locked())


async def test_silence_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_SILENCE", 0.1)
    with piped(monkeypatch, b"x", end=False):
        error = await error_of(open_image("-"))
    assert error.startswith("-: standard input: nothing has come for")


async def test_two_images_cannot_share_it(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with piped(monkeypatch, b"x", end=False) as writer:
        first = asyncio.create_task(open_image("-").open())
        await until(module._reading.locked)
        assert await error_of(open_image("-")) == "-: another image is being read from standard input"
        os.write(writer, b"y")
        first.cancel()
        await asyncio.wait([first])


PROGRAM = """
import asyncio, sys
from aioecrpublic.images import load_image, open_image

async def main():
    async with open_image("-") as source:
        print((await load_image(source)).root.descriptor.digest)

asyncio.run(main())
"""


def test_of_a_process_of_its_own(image: BuiltImage, archive: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=archive, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode().strip() == image.digest


def test_a_process_that_is_interrupted_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(2)
        process.send_signal(2)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in {1, 130, -2}


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - what one test leaves, the next finds
def nobody_reads_any_more() -> Generator[None, None, None]:
    yield
    assert module._reading.acquire(timeout=10)
    module._reading.release()


async def test_reading_twice_finds_nothing_more(
    image: BuiltImage, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with piped(monkeypatch, archive):
        async with open_image("-") as source:
            await assert_holds(source, image)
        with pytest.raises(ImageError, match="not a tar file: empty"):
            await open_image("-").open()
