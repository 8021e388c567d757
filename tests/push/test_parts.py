from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    return LayerBytes(ReaderBlob(blob_reader(data), digest, lambda: None), executor)


async def test_the_digest_is_that_of_the_bytes_read_in_order(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA, executor)
    for first in range(0, len(DATA), 3000):
        part = await bytes_.part(first, min(3000, len(DATA) - first))
        part.read_at(0, len(part))
    await bytes_.verify()


async def test_what_was_not_read_is_hashed_at_the_end(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA, executor)
    part = await bytes_.part(5000, 100)
    part.read_at(0, 50)
    await bytes_.verify()


async def test_another_digest_is_an_error_that_names_both(executor: ThreadPoolExecutor) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(
        ImageError, match=f"{wrong}: its bytes have the digest sha256:{hashlib.sha256(DATA).hexdigest()}"
    ):
        await layer(DATA, executor, wrong).verify()


async def test_sha512_digests(executor: ThreadPoolExecutor) -> None:
    await layer(DATA, executor, f"sha512:{hashlib.sha512(DATA).hexdigest()}").verify()


@given(reads=st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 4000)), max_size=40))
@settings(max_examples=80)
async def test_any_order_of_reads_gives_the_same_digest(reads: list[tuple[int, int]]) -> None:
    with ThreadPoolExecutor(1) as threads:
        bytes_ = layer(DATA, threads)
        for first, length in reads:
            part = await bytes_.part(first, min(length, len(DATA) - first))
            part.read_at(0, len(part) // 2)
            part.read_at(len(part) // 2, len(part) - len(part) // 2)
        await bytes_.verify()


async def test_two_threads_over_the_same_new_bytes_count_them_once(executor: ThreadPoolExecutor) -> None:
    bytes_ = layer(DATA * 50, executor)
    parts = [await bytes_.part(0, len(DATA) * 50) for _ in range(2)]

    def read(number: int) -> None:
        for offset in range(0, len(DATA) * 50, 1024):
            parts[number].read_at(offset, 1024)

    for future in [executor.submit(read, number) for number in (0, 1)]:
        future.result()
    await bytes_.verify()
