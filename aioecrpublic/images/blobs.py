"""Blobs that are ranges of open files, or bytes in memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import check_range
from aioecrpublic.images.threads import finish_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.handles import FileRange


class FileBlob:
    """A blob that is a range of an open file."""

    buffered = False

    def __init__(
        self, descriptor: Descriptor, content: FileRange, release: Callable[[FileRange], None]
    ) -> None:
        """Present `content` as the blob; `release` is called, in a thread, when it is closed."""
        self.descriptor = descriptor
        self._content = content
        self._release = release
        self._closed = False

    async def read(self, offset: int, length: int) -> FileRange:
        """Return a reader of the range; reading happens when it is used."""
        if self._closed:
            raise ImageError(f"{self._content.file.name}: read after it was closed")
        return self._content.part(offset, length)

    async def close(self) -> None:
        """Close the file, if it is the blob's own."""
        if not self._closed:
            self._closed = True
            await finish_in_thread(partial(self._release, self._content))


class BytesBlob:
    """A blob that was read before."""

    buffered = True

    def __init__(self, descriptor: Descriptor, data: bytes) -> None:
        """Present ``data`` as the blob."""
        self.descriptor = descriptor
        self._data = data

    async def read(self, offset: int, length: int) -> bytes:
        """Return the range."""
        check_range(offset, length, len(self._data))
        return self._data[offset : offset + length]

    async def close(self) -> None:
        """Do nothing: the bytes belong to somebody else."""
