"""Compressing and decompressing whole files, a chunk at a time, in worker threads."""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from isal import isal_zlib

from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import FileRange
from aioecrpublic.images.tarindex import BLOCK

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from types import ModuleType

    from aioecrpublic.images.handles import FileHandle, OpenFiles

Format = Literal["gzip", "zstd"]

CHUNK = 1024 * 1024
"""Bytes. It is part of what makes compression deterministic: other chunks may give other bytes."""

MAX_ZSTD_WINDOW_LOG = 25
"""32 MiB, which all levels of zstd up to 20 keep to; the decoder holds a window in memory."""

# Measured on 94 MiB of a Debian system, one thread, MiB/s and ratio: isal 1 505 and 0.338, isal 2 489 and
# 0.334, isal 3 273 and 0.328, zlib-ng 2 140 and 0.326, zlib-ng 6 77 and 0.299, zlib 1 107 and 0.331,
# zlib 6 32 and 0.294. At level 2 compressing is no slower than sending what comes out.
_LEVEL = 2
_GZIP = 31
"""The `wbits` of zlib that mean a gzip header, which zlib and isal write without time and name."""

_MAGIC: dict[bytes, Format | Literal["bzip2", "xz"]] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}


def detect(content: FileRange, where: str) -> Format | None:
    """Tell by its first bytes how a file is compressed; None if it is not.

    Raises:
        ImageError: it is compressed in a way that cannot be read here.
    """
    head = content.read_at(0, min(BLOCK, len(content)))
    if head[257:262] == b"ustar":
        # A tar file, though the name of its first member may begin like anything.
        return None
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            if kind in {"bzip2", "xz"}:
                raise ImageError(
                    f"{where}: compressed by {kind}, which is not supported; decompress it first"
                )
            return "gzip" if kind == "gzip" else "zstd"
    return None


def chunks(content: FileRange) -> Iterator[bytes]:
    """Yield a file in chunks."""
    for offset in range(0, len(content), CHUNK):
        yield content.read_at(offset, min(CHUNK, len(content) - offset))


def compressed(plain: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the gzip file of some chunks: the same for the same chunks and version of isal."""
    engine = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
    for chunk in plain:
        yield engine.compress(chunk)
    yield engine.flush()


def decompressed(content: FileRange, kind: Format, where: str, limit: int) -> Iterator[bytes]:
    """Yield what a compressed file holds, in pieces of at most a chunk.

    Args:
        content: the whole file.
        kind: as `detect` has found.
        where: what it is called in messages.
        limit: bytes; more are taken for a decompression bomb.

    Raises:
        ImageError: it is damaged, truncated or holds more than `limit` bytes.
    """
    size = 0
    for piece in _gunzip(content, where) if kind == "gzip" else _unzstd(content, where):
        size += len(piece)
        if size > limit:
            raise ImageError(
                f"{where}: {len(content)} bytes of {kind} hold more than {limit} bytes; "
                "this is taken for a decompression bomb"
            )
        yield piece


def _gunzip(content: FileRange, where: str) -> Iterator[bytes]:
    # The standard library's zlib rather than isal: what comes in here is hostile.
    engine = zlib.decompressobj(wbits=_GZIP)
    with _translated(zlib.error, f"{where}: damaged gzip data"):
        for chunk in chunks(content):
            rest = chunk
            while rest:
                if engine.eof:
                    # Another member follows, or the padding that tape tools leave.
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    engine = zlib.decompressobj(wbits=_GZIP)
                yield engine.decompress(rest, CHUNK)
                rest = engine.unused_data if engine.eof else engine.unconsumed_tail
        while not engine.eof:
            piece = engine.decompress(b"", CHUNK)
            if not piece and not engine.eof:
                raise ImageError(f"{where}: the gzip data is truncated")
            yield piece


def _unzstd(content: FileRange, where: str) -> Iterator[bytes]:
    zstd = _load_zstd(where)
    options = {zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW_LOG}
    engine = zstd.ZstdDecompressor(options=options)
    inside = False
    with _translated(zstd.ZstdError, f"{where}: damaged zstd data, or a window of more than 32 MiB"):
        for chunk in chunks(content):
            rest = chunk
            while rest or not engine.needs_input:
                yield engine.decompress(rest, CHUNK)
                inside = not engine.eof
                rest = b""
                if engine.eof:
                    rest = engine.unused_data
                    engine = zstd.ZstdDecompressor(options=options)
    if inside:
        raise ImageError(f"{where}: the zstd data is truncated")


@contextmanager
def _translated(kind: type[Exception], message: str) -> Generator[None, None, None]:
    try:
        yield
    except kind as error:
        raise ImageError(f"{message}: {error}") from error


def _load_zstd(where: str) -> ModuleType:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise ImageError(
            f"{where}: zstd data needs the extra zstd; run: pip install 'aioecrpublic[zstd]'"
        ) from error
    return zstd


class Spool:
    """A temporary file that one thread appends to.

    It has no name, so that it is gone when it is closed, by whatever the process ends.
    """

    def __init__(self, files: OpenFiles, name: str) -> None:
        """Create the file among `files`; `name` is for messages."""
        with tempfile.TemporaryFile(buffering=0) as file:
            self.file: FileHandle = files.adopt(os.dup(file.fileno()), f"temporary file of {name}")
        self._end = 0

    def append(self, pieces: Iterable[bytes]) -> FileRange:
        """Write some bytes and return where they are.

        Raises:
            ImageError: there is no room, or the file was closed.
        """
        start = self._end
        for piece in pieces:
            self.file.write_at(self._end, piece)
            self._end += len(piece)
        return FileRange(self.file, start, self._end - start)
