"""The bytes of a layer, part by part, and its digest, computed as they are first read."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING

from aioecrpublic._runtime.body import blob_reader
from aioecrpublic.images import ImageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from aioecrpublic._runtime.shapes import BlobReader
    from aioecrpublic.images import Blob, Descriptor

_HASH_SLICE = 1024 * 1024


class LayerBytes:
    """A layer's bytes, hashed once however often and from wherever they are sent.

    Parts are prepared in order, so the first pass over each extends the digest; bytes that come by again, for
    sending or for a retry, do not.

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
        self._algorithm = blob.descriptor.digest.partition(":")[0]
        self._hash = hashlib.new(self._algorithm)
        self._hashed = 0
        self._lock = threading.Lock()

    async def part(self, first: int, length: int) -> Part:
        """The bytes from ``first`` on, once everything before them is hashed.

        Raises:
            ImageError: They cannot be read.
        """
        await self._hash_up_to(first)
        data = await self._blob.read(first, length)
        return Part(self, blob_reader(data), first)

    async def verify(self) -> None:
        """Hold the bytes against the digest.

        Raises:
            ImageError: They are not what the descriptor says.
        """
        await self._hash_up_to(self.descriptor.size)
        found = f"{self._algorithm}:{self._hash.hexdigest()}"
        if found != self.descriptor.digest:
            raise ImageError(f"blob {self.descriptor.digest}: its bytes have the digest {found}")

    def seen(self, offset: int, data: bytes) -> None:
        """Extend the digest if these are the next bytes; called in worker threads."""
        end = offset + len(data)
        if end <= self._hashed:
            return
        # A pass that was given up may still be running while the next begins.
        with self._lock:
            if offset <= self._hashed < end:
                self._hash.update(memoryview(data)[self._hashed - offset :])
                self._hashed = end

    async def _hash_up_to(self, end: int) -> None:
        while self._hashed < end:
            length = min(_HASH_SLICE, end - self._hashed)
            data = await self._blob.read(self._hashed, length)
            part = Part(self, blob_reader(data), self._hashed)
            await asyncio.get_running_loop().run_in_executor(self._executor, part.read_at, 0, length)


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
        """Bytes of the part, shown to the layer's digest as they pass.

        A request is hashed before it is sent, so bytes that come by again are on their way.
        """
        data = self._reader.read_at(offset, length)
        self._layer.seen(self.first + offset, data)
        end = offset + length
        if end <= self._read:
            self._layer.sent = self.first + end
        self._read = max(self._read, end)
        return data
