"""The bytes of a layer, part by part.

They are not hashed on their way for the layer's digest: the service computes that of what it has stored, and
refuses what has another. Only then it matters whose fault that is, and the layer is read once more.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from aioecrpublic._runtime.body import blob_reader, read_now
from aioecrpublic._runtime.threads import in_thread
from aioecrpublic.images import ImageError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from hashlib import _Hash

    from aioecrpublic._runtime.shapes import BlobReader
    from aioecrpublic.images import Blob, Descriptor

_HASH_SLICE = 1024 * 1024


class LayerBytes:
    """A layer's bytes.

    Args:
        blob: The opened blob.
        executor: Worker threads, for bytes that are hashed without being sent.
    """

    def __init__(self, blob: Blob, executor: Executor) -> None:
        self.descriptor: Descriptor = blob.descriptor
        self.buffered: bool = blob.buffered
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
        digest = hashlib.new(algorithm)
        for first in range(0, self.descriptor.size, _HASH_SLICE):
            length = min(_HASH_SLICE, self.descriptor.size - first)
            data = blob_reader(await self._blob.read(first, length))
            await in_thread(self._executor, _extend, digest, data)
        found = f"{algorithm}:{digest.hexdigest()}"
        if found != self.descriptor.digest:
            raise ImageError(f"blob {self.descriptor.digest}: its bytes have the digest {found}")


def _extend(digest: _Hash, data: BlobReader) -> None:
    digest.update(data.read_at(0, len(data)))


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
