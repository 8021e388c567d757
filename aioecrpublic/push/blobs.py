"""A single blob from wherever the caller has it, for ``upload_layer``."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from aioecrpublic._common.fileio import open_regular
from aioecrpublic._runtime.body import blob_reader, read_now
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic._runtime.shapes import BlobInput, BlobReader, is_blob_reader
from aioecrpublic.images import Descriptor, FileRange, ImageError
from aioecrpublic.images.digest import check_digest
from aioecrpublic.images.handles import FileHandle
from aioecrpublic.images.threads import acquire_in_thread
from aioecrpublic.push.parts import digest_of
from aioecrpublic.push.sizes import check_layer_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

LayerInput: TypeAlias = BlobInput | str | os.PathLike[str]
"""Bytes, a reader, or the path of a file."""

_ANY = "application/octet-stream"


class ReaderBlob:
    """A blob over a ``BlobReader``, as the pipeline takes it.

    Args:
        reader: Its bytes.
        digest: Their digest.
        close: Closes what they come from.
    """

    buffered = False

    def __init__(self, reader: BlobReader, digest: str, close: Callable[[], None] = lambda: None) -> None:
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


async def open_blob(blob: LayerInput, digest: str | None, executor: Executor) -> ReaderBlob:
    """Open ``blob`` and, unless its digest is given, compute it in worker threads.

    Raises:
        ConfigurationError: The blob is none.
        ImageError: The file cannot be read or changes meanwhile, the digest is none, or the service cannot
            store so many bytes, or none.
    """
    if digest is not None:
        check_digest(digest, "upload_layer")
    if not isinstance(blob, str | os.PathLike):
        if not isinstance(blob, bytes | bytearray | memoryview) and not is_blob_reader(blob):
            raise ConfigurationError(
                f"blob must be bytes, a BlobReader or a path (got {type(blob).__name__})"
            )
        reader, name = blob_reader(blob), name_of(blob, digest)
        check_layer_size(name, len(reader))
        return ReaderBlob(reader, digest or await _digest(reader, name, executor))
    path = os.fspath(blob)
    file = await acquire_in_thread(partial(_open_file, path), FileHandle.close)
    try:
        content = FileRange(file, 0, file.status().st_size)
        check_layer_size(path, len(content))
        digest = digest or await _digest(content, path, executor)
        _require_size(file, len(content))
    except BaseException:
        file.close()
        raise
    return ReaderBlob(content, digest, file.close)


def name_of(blob: LayerInput, digest: str | None) -> str:
    """What a blob is called in messages."""
    if isinstance(blob, str | os.PathLike):
        return os.fspath(blob)
    return f"layer {digest}" if digest else f"layer ({type(blob).__name__})"


def _open_file(path: str) -> FileHandle:
    try:
        return FileHandle(open_regular(path), path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"{path}: cannot be read: {reason}") from error


def _require_size(file: FileHandle, size: int) -> None:
    if file.status().st_size != size:
        raise ImageError(f"{file.name}: changed while it was being read")


async def _digest(reader: BlobReader, name: str, executor: Executor) -> str:
    async def read(offset: int, length: int) -> BlobReader:  # noqa: RUF029 - as a blob's
        return _Range(reader, offset, length)

    return await digest_of(read, len(reader), executor, name)
