"""Compressing and decompressing whole files, a chunk at a time, in worker threads."""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

import attrs
from isal import isal_zlib

from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import FileRange
from aioecrpublic.images.tarindex import BLOCK, is_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from types import ModuleType

    from aioecrpublic.images.handles import FileHandle, OpenFiles

Format = Literal["gzip", "zstd", "xz", "bzip2"]

CHUNK = 1024 * 1024
"""Bytes. It is part of what makes compression deterministic: other chunks may give other bytes."""

MAX_ZSTD_WINDOW_LOG = 25
"""32 MiB, which all levels of zstd up to 20 keep to; the decoder holds a window in memory."""

MAX_XZ_MEMORY = 80 * 1024 * 1024
"""Bytes that the decoder may take; all presets of xz keep to 65 MiB (xz(1), "-0 ... -9")."""

MAX_EMPTY_MEMBERS = 10_000
MIN_MEMBER = 512
"""Bytes that members, frames or streams hold on average where they are very many; a tar has blocks of 512."""

MAX_EXCESS = 16 * 1024 * 1024
MAX_SHRINKING = 4
"""How many times as large as what it holds compressed data may be, beyond ``MAX_EXCESS`` bytes."""

# Measured on 94 MiB of a Debian system, one thread, MiB/s and ratio: isal 1 505 and 0.338, isal 2 489 and
# 0.334, isal 3 273 and 0.328, zlib-ng 2 140 and 0.326, zlib-ng 6 77 and 0.299, zlib 1 107 and 0.331,
# zlib 6 32 and 0.294. At level 2 compressing is no slower than sending what comes out.
_LEVEL = 2
_GZIP = 31
"""The `wbits` of zlib that mean a gzip header, which zlib and isal write without time and name."""

_FED_AT_ONCE = 64 * 1024
"""Bytes: what follows the end of a member is copied for each member, and must be short."""

_MAGIC: dict[bytes, Format] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    # A skippable frame may come first (RFC 8878, section 3.1.2); any of 16 numbers is its first byte.
    **{bytes([0x50 + number]) + b"\x2a\x4d\x18": "zstd" for number in range(16)},
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}


def detect(content: FileRange) -> Format | None:
    """Tell by its first bytes how a file is compressed; None if it is not."""
    return detect_head(content.read_at(0, min(BLOCK, len(content))))


def detect_head(head: bytes) -> Format | None:
    """Tell how a file that begins so is compressed; None if it is not."""
    if is_tar(head):
        # The name of its first member may begin like anything.
        return None
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def chunks(content: FileRange) -> Iterator[bytes]:
    """Yield a file in chunks."""
    for offset in range(0, len(content), CHUNK):
        yield content.read_at(offset, min(CHUNK, len(content) - offset))


class Compressor:
    """Makes a gzip file: the same of the same chunks, with the same version of isal."""

    def __init__(self) -> None:
        self._engine = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)

    def add(self, chunk: bytes) -> bytes:
        """Return what the file goes on with; each chunk but the last must have ``CHUNK`` bytes."""
        compressed: bytes = self._engine.compress(chunk)
        return compressed

    def finish(self) -> bytes:
        """Return how the file ends."""
        rest: bytes = self._engine.flush()
        return rest


def decompressed(content: FileRange, kind: Format, where: str, limit: int) -> Iterator[bytes]:
    """Yield what a compressed file holds, in pieces of at most a chunk.

    It may consist of several members (gzip), frames (zstd) or streams (xz, bzip2), with zeros between them
    and after them, as tape tools leave them.

    Args:
        content: the whole file.
        kind: as `detect` has found.
        where: what it is called in messages.
        limit: bytes; more are taken for a decompression bomb.

    Raises:
        ImageError: it is damaged, truncated, holds more than `limit` bytes, or next to nothing in very many
            pieces.
    """
    codec = _CODECS[kind](where)
    count = _Count(len(content), kind, where, limit)
    engine: _Engine | None = None
    with _translated(codec.error, f"{where}: damaged {kind} data{codec.limits}"):
        for data in _short(chunks(content)):
            count.read(len(data))
            rest = data
            while rest or engine is not None:
                if engine is None:
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    engine = codec.new()
                piece = engine.decompress(rest, CHUNK)
                rest = b""
                if piece:
                    count.hold(len(piece))
                    yield piece
                if engine.eof:
                    rest = engine.unused_data
                    engine = None
                    count.end_member()
                elif engine.needs_input:
                    break
    if engine is not None:
        raise ImageError(f"{where}: the {kind} data is truncated")


class _Engine(Protocol):
    """What the decompressors of the standard library have in common; they do one member each."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


@attrs.frozen
class _Codec:
    new: Callable[[], _Engine]
    error: type[Exception]
    limits: str = ""
    """What else its errors may mean, for messages."""


@attrs.define
class _Count:
    """Bytes in and out, and the members: none of them may be many without the others."""

    size: int
    kind: Format
    where: str
    limit: int
    bytes_read: int = 0
    bytes_held: int = 0
    members: int = 0

    def read(self, length: int) -> None:
        self.bytes_read += length
        if self.bytes_read > MAX_EXCESS + MAX_SHRINKING * self.bytes_held:
            raise ImageError(
                f"{self.where}: {self.bytes_read} bytes of {self.kind} hold only {self.bytes_held} bytes"
            )

    def hold(self, length: int) -> None:
        self.bytes_held += length
        if self.bytes_held > self.limit:
            raise ImageError(
                f"{self.where}: {self.size} bytes of {self.kind} hold more than {self.limit} bytes; "
                "this is taken for a decompression bomb"
            )

    def end_member(self) -> None:
        self.members += 1
        if self.members > MAX_EMPTY_MEMBERS and self.bytes_held < MIN_MEMBER * self.members:
            raise ImageError(
                f"{self.where}: {self.members} pieces of {self.kind} hold only {self.bytes_held} bytes"
            )


class _Gunzip:
    """zlib's decompressor with the manners of the others.

    It is the standard library's rather than isal's: what comes in here is hostile.
    """

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=_GZIP)
        self._pending = False

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._pending

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._engine.decompress(self._engine.unconsumed_tail + data, max_length)
        self._pending = bool(self._engine.unconsumed_tail) or len(piece) == max_length
        return piece


def _gzip(_where: str) -> _Codec:
    return _Codec(_Gunzip, zlib.error)


def _zstd(where: str) -> _Codec:
    zstd = _load_zstd(where)
    options = {zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW_LOG}
    return _Codec(
        lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError, ", or a window of more than 32 MiB"
    )


def _xz(where: str) -> _Codec:
    try:
        import lzma
    except ImportError as error:
        raise ImageError(f"{where}: xz data needs the module lzma, which this Python lacks") from error
    return _Codec(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY),
        lzma.LZMAError,
        f", or a dictionary that takes more than {MAX_XZ_MEMORY // 1024 // 1024} MiB",
    )


def _bzip2(where: str) -> _Codec:
    try:
        import bz2
    except ImportError as error:
        raise ImageError(f"{where}: bzip2 data needs the module bz2, which this Python lacks") from error
    # It has no error of its own: OSError is what it calls damage.
    return _Codec(bz2.BZ2Decompressor, OSError)


_CODECS: dict[Format, Callable[[str], _Codec]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "xz": _xz,
    "bzip2": _bzip2,
}


def _short(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _FED_AT_ONCE):
            yield piece[start : start + _FED_AT_ONCE]


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
        """Create the file among `files`; `name` is for messages.

        Raises:
            ImageError: it cannot be created, or `files` are closed.
        """
        name = f"temporary file of {name}"
        try:
            with tempfile.TemporaryFile(buffering=0) as file:
                descriptor = os.dup(file.fileno())
        except OSError as error:
            raise ImageError(f"{name}: cannot be created: {error.strerror}") from error
        self.file: FileHandle = files.adopt(descriptor, name)
        self.end: int = 0

    def append(self, pieces: Iterable[bytes]) -> FileRange:
        """Write some bytes and return where they are.

        Raises:
            ImageError: there is no room, or the file was closed.
        """
        start = self.end
        for piece in pieces:
            self.write(piece)
        return self.since(start)

    def write(self, data: bytes) -> None:
        """Write some bytes at the end.

        Raises:
            ImageError: there is no room, or the file was closed.
        """
        self.file.write_at(self.end, data)
        self.end += len(data)

    def since(self, start: int) -> FileRange:
        """Return what was written from the byte ``start`` on."""
        return FileRange(self.file, start, self.end - start)
