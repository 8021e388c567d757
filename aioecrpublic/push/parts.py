"""The bytes of a layer, part by part.

They are not hashed on their way for the layer's digest: the service computes that of what it has stored, and
refuses what has another. Only then it matters whose fault that is, and the layer is read once more.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from aioecrpublic._runtime.body import BlobError, blob_reader, read_exactly, read_now
from aioecrpublic._runtime.threads import in_thread
from aioecrpublic.images import ImageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from hashlib import _Hash

    from aioecrpublic._runtime.shapes import BlobInput, BlobReader
    from aioecrpublic.images import Blob, Descriptor

_HASH_SLICE = 4 * 1024 * 1024


class LayerBytes:
    """A layer's bytes.

    Args:
        blob: The opened blob.
        executor: Worker threads, for bytes that are hashed without being sent.
        name: What the blob is called in messages.
    """

    def __init__(self, blob: Blob, executor: Executor, name: str) -> None:
        self.descriptor: Descriptor = blob.descriptor
        self.buffered: bool = blob.buffered
        self.name = name
        # Where the bytes end that were last handed to the connection.
        self.sent = 0
        self._blob = blob
        self._executor = executor

    async def part(self, first: int, length: int) -> Part:
        """The bytes from ``first`` on.

        Raises:
            ImageError: They cannot be read.
        """
        return Part(self, blob_reader(await self._blob.read(first, length)), first)

    async def verify(self) -> None:
        """Read all bytes and hold them against the digest.

        Raises:
            ImageError: They are not what the descriptor says, or cannot be read.
        """
        algorithm = self.descriptor.digest.partition(":")[0]
        found = await digest_of(
            self._blob.read, self.descriptor.size, self._executor, self.name, algorithm=algorithm
        )
        if found != self.descriptor.digest:
            raise ImageError(f"{self.name}: its bytes have the digest {found}")


async def digest_of(
    read: Callable[[int, int], Awaitable[BlobInput]],
    size: int,
    executor: Executor,
    name: str,
    *,
    algorithm: str = "sha256",
) -> str:
    """The digest of ``size`` bytes, of which ``read`` gives any range; they are hashed in worker threads.

    Raises:
        ImageError: They cannot be read; it names ``name``.
    """
    digest = hashlib.new(algorithm)
    try:
        for first in range(0, size, _HASH_SLICE):
            data = blob_reader(await read(first, min(_HASH_SLICE, size - first)))
            await in_thread(executor, _extend, digest, data)
    except BlobError as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    return f"{algorithm}:{digest.hexdigest()}"


def _extend(digest: _Hash, data: BlobReader) -> None:
    digest.update(read_exactly(data, 0, len(data)))


class Part:
    """One part of a layer, as the ``BlobReader`` that a request takes."""

    def __init__(self, layer: LayerBytes, reader: BlobReader, first: int) -> None:
        self._layer = layer
        self._reader = reader
        self._read = 0
        self.first = first

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def last(self) -> int:
        """Its last byte within the layer, inclusive as the service counts."""
        return self.first + len(self) - 1

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Bytes of the part.

        A request is hashed before it is sent, so bytes that come by again are on their way.
        """
        self._note(offset + length)
        return self._reader.read_at(offset, length)

    def read_now(self, offset: int, buffer: memoryview, /) -> bool:
        """Fill ``buffer`` with bytes of the part, if they are in memory."""
        if not read_now(self._reader, offset, buffer):
            return False
        self._note(offset + len(buffer))
        return True

    def _note(self, end: int) -> None:
        if end <= self._read:
            self._layer.sent = self.first + end
        self._read = max(self._read, end)
