from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ImageError
from aioecrpublic._runtime.body import blob_reader
from aioecrpublic.push.blobs import ReaderBlob
from aioecrpublic.push.parts import LayerBytes

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = bytes(range(256)) * 40


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def layer(data: bytes, executor: ThreadPoolExecutor, digest: str | None = None) -> LayerBytes:
    digest = digest or f"sha256:{hashlib.sha256(data).hexdigest()}"
    return LayerBytes(ReaderBlob(blob_reader(data), digest), executor, f"blob {digest}")


async def test_parts_are_ranges_of_the_layer(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA, executor)
    for first in range(0, len(DATA), 3000):
        length = min(3000, len(DATA) - first)
        part = await bytes_.part(first, length)
        assert (len(part), part.first, part.last) == (length, first, first + length - 1)
        assert part.read_at(0, length) == DATA[first : first + length]
        assert part.read_at(length - 1, 1) == DATA[first + length - 1 : first + length]


async def test_bytes_that_come_by_again_are_on_their_way(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA, executor)
    part = await bytes_.part(5000, 100)
    for offset in (0, 50):
        part.read_at(offset, 50)
        assert bytes_.sent == 0
    part.read_at(0, 50)
    assert bytes_.sent == 5050
    part.read_at(50, 50)
    assert bytes_.sent == 5100


async def test_bytes_in_memory_count_as_sent_like_others(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA, executor)
    part = await bytes_.part(5000, 100)
    buffer = memoryview(bytearray(50))
    part.read_at(0, 100)
    for offset, sent in ((0, 5050), (50, 5100)):
        assert part.read_now(offset, buffer)
        assert bytes(buffer) == DATA[5000 + offset : 5050 + offset]
        assert bytes_.sent == sent


async def test_bytes_that_are_not_in_memory_are_not_sent_yet(executor: ThreadPoolExecutor) -> None:
    class OnlySlowly:
        def __len__(self) -> int:
            return len(DATA)

        def read_at(self, offset: int, length: int, /) -> bytes:
            return DATA[offset : offset + length]

    bytes_ = LayerBytes(ReaderBlob(OnlySlowly(), f"sha256:{'0' * 64}"), executor, "slow")
    part = await bytes_.part(5000, 100)
    part.read_at(0, 100)
    assert not part.read_now(0, memoryview(bytearray(50)))
    assert bytes_.sent == 0


async def test_the_right_digest(executor: ThreadPoolExecutor) -> None:
    await layer(DATA, executor).verify()
    await layer(DATA * 300, executor).verify()


async def test_another_digest_is_an_error_that_names_both(executor: ThreadPoolExecutor) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(
        ImageError, match=f"{wrong}: its bytes have the digest sha256:{hashlib.sha256(DATA).hexdigest()}"
    ):
        await layer(DATA, executor, wrong).verify()


async def test_sha512_digests(executor: ThreadPoolExecutor) -> None:
    await layer(DATA, executor, f"sha512:{hashlib.sha512(DATA).hexdigest()}").verify()
