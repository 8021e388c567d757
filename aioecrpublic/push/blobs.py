"""A single blob from wherever the caller has it, for ``upload_layer``."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, TypeAlias

from aioecrpublic._common.fileio import open_regular
from aioecrpublic._runtime.body import blob_reader, read_now
from aioecrpublic._runtime.shapes import BlobInput, BlobReader
from aioecrpublic.images import Descriptor, FileRange, ImageError
from aioecrpublic.images.digest import check_digest
from aioecrpublic.images.handles import FileHandle

if TYPE_CHECKING:
    from collections.abc import Callable

LayerInput: TypeAlias = BlobInput | str | os.PathLike[str]
"""Bytes, a reader, or the path of a file."""

_HASH_SLICE = 1024 * 1024
_ANY = "application/octet-stream"


class ReaderBlob:
    """A blob over a ``BlobReader``, as the pipeline takes it."""

    buffered = False

    def __init__(self, reader: BlobReader, digest: str, close: Callable[[], None]) -> None:
        self.descriptor: Descriptor = Descriptor(media_type=_ANY, digest=digest, size=len(reader))
        self._reader = reader
        self._close = close

    async def read(self, offset: int, length: int) -> BlobReader:
        """A reader of the range."""
        return _Range(self._reader, offset, length)

    async def close(self) -> None:
        """Close the file, if there is one."""
        self._close()


class _Range:
    def __init__(self, reader: BlobReader, start: int, length: int) -> None:
        self._reader = reader
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read_at(self, offset: int, length: int, /) -> bytes:
        return self._reader.read_at(self._start + offset, length)

    def read_now(self, offset: int, buffer: memoryview, /) -> bool:
        return read_now(self._reader, self._start + offset, buffer)


def open_blob(blob: LayerInput, digest: str | None) -> ReaderBlob:
    """Open ``blob`` and, unless its digest is given, compute it; blocks.

    Raises:
        ImageError: The file cannot be read, or the digest is none.
    """
    if digest is not None:
        check_digest(digest, "upload_layer")
    if not isinstance(blob, str | os.PathLike):
        reader = blob_reader(blob)
        return ReaderBlob(reader, digest or _digest(reader), lambda: None)
    path = os.fspath(blob)
    try:
        descriptor = open_regular(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"{path}: cannot be read: {reason}") from error
    file = FileHandle(descriptor, path)
    try:
        content = FileRange(file, 0, file.status().st_size)
        return ReaderBlob(content, digest or _digest(content), file.close)
    except BaseException:
        file.close()
        raise


def _digest(reader: BlobReader) -> str:
    digest = hashlib.sha256()
    for offset in range(0, len(reader), _HASH_SLICE):
        digest.update(reader.read_at(offset, min(_HASH_SLICE, len(reader) - offset)))
    return f"sha256:{digest.hexdigest()}"
