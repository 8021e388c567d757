"""Bodies: what is sent, how long it is, its hash, and when its slices are read."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic._runtime.body import SLICE, SMALL_BODY, BlobSegment, Body, blob_reader
from aioecrpublic.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = bytes(range(256)) * 4


class AtOnce(Executor):
    """Worker threads for the impatient: work is done when it is handed in."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except ValueError as error:
            future.set_exception(error)
        return future


class Noting:
    """A reader that notes what is asked for, and fails from some read on."""

    def __init__(self, data: bytes, fail_at: int = 1000) -> None:
        self.data = data
        self.fail_at = fail_at
        self.reads: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int, /) -> bytes:
        self.reads.append((offset, length))
        if len(self.reads) >= self.fail_at:
            raise ValueError("it is gone")
        return self.data[offset : offset + length]


class Prompt(Noting):
    """A reader that has its first bytes at hand."""

    def __init__(self, data: bytes, at_hand: int) -> None:
        super().__init__(data)
        self.at_hand = at_hand
        self.prompt_reads: list[tuple[int, int]] = []

    def read_now(self, offset: int, buffer: memoryview, /) -> bool:
        end = offset + len(buffer)
        if end > self.at_hand:
            return False
        self.prompt_reads.append((offset, len(buffer)))
        buffer[:] = self.data[offset:end]
        return True


def body_of(*parts: bytes | Noting) -> Body:
    return Body(tuple(part if isinstance(part, bytes) else BlobSegment(part, len(part)) for part in parts))


def wire_of(*parts: bytes | Noting) -> bytes:
    return b"".join(part if isinstance(part, bytes) else base64.b64encode(part.data) for part in parts)


PARTS = [
    (b"{}",),
    (b"", Noting(BYTES), b""),
    (b'{"a":"', Noting(BYTES[:100]), b'","b":"', Noting(BYTES[:101]), b'"}'),
    (b"<", Noting(BYTES[:1]), b">", Noting(BYTES[:2]), b"!"),
]


@pytest.mark.parametrize("parts", PARTS)
async def test_every_way_to_the_bytes_has_the_same(parts: tuple[bytes | Noting, ...]) -> None:
    body, expected = body_of(*parts), wire_of(*parts)
    assert body.read() == expected
    assert body.length == len(expected)
    assert b"".join([piece async for piece in body.stream(AtOnce())]) == expected
    assert b"".join([piece async for piece in body.stream(AtOnce(), 30)]) == expected
    await body.hash(AtOnce())
    assert body.sha256 == hashlib.sha256(expected).hexdigest()


def test_only_a_single_piece_of_text_is_had_whole() -> None:
    assert body_of(b"{}").content == b"{}"
    assert body_of(b"{", b"}").content is None
    assert body_of(Noting(BYTES)).content is None


def test_small_bodies_are_hashed_at_once() -> None:
    small, large = body_of(b"x" * SMALL_BODY), body_of(b"x" * (SMALL_BODY + 1))
    assert small.hash_if_small()
    assert small.sha256 == hashlib.sha256(b"x" * SMALL_BODY).hexdigest()
    for body in (large, body_of(b"", Noting(BYTES), b"")):
        assert not body.hash_if_small()
        with pytest.raises(AssertionError, match="hashed before it is signed"):
            _ = body.sha256


@pytest.mark.parametrize("size", [1, 29, 30, 31, 60, 61, 90])
async def test_slices_are_read_once_one_ahead_of_what_is_sent(size: int) -> None:
    reader = Noting(BYTES[:size])
    expected = [(offset, min(30, size - offset)) for offset in range(0, size, 30)]
    sent = 0
    async for piece in body_of(b"<", reader, b">").stream(AtOnce(), 30):
        if piece in {b"<", b">"}:
            continue
        sent += 1
        assert reader.reads == expected[: sent + 1]
    assert sent == len(expected)


@pytest.mark.parametrize("at_hand", [0, 29, 30, 60, 89, 90, 100])
async def test_bytes_at_hand_need_no_thread_and_the_others_do(at_hand: int) -> None:
    reader = Prompt(BYTES[:100], at_hand)
    expected = wire_of(b"<", reader, b">")
    assert b"".join([piece async for piece in body_of(b"<", reader, b">").stream(AtOnce(), 30)]) == expected
    slices = [(0, 30), (30, 30), (60, 30), (90, 10)]
    prompt = [part for part in slices if sum(part) <= at_hand]
    assert (reader.prompt_reads, reader.reads) == (prompt, slices[len(prompt) :])


async def test_bytes_in_memory_are_sent_without_a_thread() -> None:
    class NoThreads(AtOnce):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise AssertionError((function, args, kwargs))

    body = Body((b"<", BlobSegment(blob_reader(bytearray(BYTES)), len(BYTES)), b">"))
    assert b"".join([piece async for piece in body.stream(NoThreads(), 30)]) == body.read()


async def test_others_have_their_turn_between_slices_at_hand() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    pieces = [piece async for piece in body_of(b"", Prompt(BYTES, len(BYTES))).stream(AtOnce(), 30)]
    task.cancel()
    assert turns >= len(pieces) - 2


def test_a_body_is_read_in_slices() -> None:
    reader = Noting(bytes(2 * SLICE + 1))
    assert body_of(b"<", reader, b">").read() == wire_of(b"<", reader, b">")
    assert reader.reads == [(0, SLICE), (SLICE, SLICE), (2 * SLICE, 1)]


async def test_a_reader_that_fails_ends_the_stream() -> None:
    stream = body_of(b"<", Noting(BYTES, fail_at=2), b">").stream(AtOnce(), 30)
    assert [await anext(stream), await anext(stream)] == [b"<", base64.b64encode(BYTES[:30])]
    with pytest.raises(ValueError, match="it is gone"):
        await anext(stream)


async def test_a_stream_that_is_left_says_nothing_of_what_it_had_read_ahead() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    for readers_end in (1000, 2):
        reader = Noting(BYTES, readers_end)
        stream = body_of(b"<", reader, b">").stream(AtOnce(), 30)
        await anext(stream)
        await anext(stream)
        await asyncio.sleep(0)
        await stream.aclose()
        assert len(reader.reads) == 2
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("given", [b"", b"ab", b"abcd"])
def test_a_reader_that_gives_more_or_less_is_told_so(given: bytes) -> None:
    class Wrong(Noting):
        def read_at(self, offset: int, length: int, /) -> bytes:
            return given

    with pytest.raises(ValidationError) as caught:
        BlobSegment(Wrong(BYTES), 30).read(7, 3)
    assert f"Wrong: read_at(7, 3) gave {len(given)} bytes" in str(caught.value)


def test_bytes_of_any_kind_are_readers() -> None:
    numbers = memoryview(BYTES).cast("I")
    for data in (BYTES, bytearray(BYTES), memoryview(BYTES), numbers):
        reader = blob_reader(data)
        assert len(reader) == len(BYTES)
        assert bytes(reader.read_at(3, 5)) == BYTES[3:8]
    own = Noting(BYTES)
    assert blob_reader(own) is own


@pytest.mark.parametrize("length", range(7))
def test_the_length_of_base64_is_known_beforehand(length: int) -> None:
    assert BlobSegment(Noting(BYTES), length).encoded_length == len(base64.b64encode(BYTES[:length]))
