"""An archive on standard input."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from typing import TYPE_CHECKING, Final

from aioecrpublic._common.fileio import kind_of
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import FileRange
from aioecrpublic.images.packing import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic.images.handles import FileHandle, OpenFiles

STANDARD_INPUT: Final = "-"
"""How people write it in the place of a path; a file of that name is ``./-``."""

MAX_STANDARD_INPUT: Final = 64 * 1024**3
"""Bytes; what comes has no end that could be known before."""

_DESCRIPTOR: Final = 0
_READ_AT_ONCE: Final = 1024 * 1024
_LONGEST_SILENCE: Final = 600.0
_LOOK_AGAIN: Final = 0.2
"""Seconds after which a thread that waits finds out that nobody wants what it waits for."""

_reading = threading.Lock()


def read_standard_input(files: OpenFiles, name: str, limit: int | None) -> FileRange:
    """Return what comes on standard input: a file as it is, all else in a temporary file.

    It blocks until all is there, and ends soon after ``files`` is closed.

    Args:
        files: The open files of the source.
        name: What it is called in messages.
        limit: Bytes that may come; None: 64 GiB.

    Raises:
        ImageError: There is no standard input, it is a terminal or a directory, too much comes, nothing comes
            for ten minutes, or another image is being read from it.
    """
    try:
        descriptor = os.dup(_DESCRIPTOR)
    except OSError as error:
        raise ImageError(f"{name}: standard input is closed") from error
    file = files.adopt(descriptor, f"{name}: standard input")
    mode = file.status().st_mode
    if stat.S_ISREG(mode):
        with file.use() as opened:
            start = os.lseek(opened, 0, os.SEEK_CUR)
        return FileRange(file, start, max(file.status().st_size - start, 0))
    if stat.S_ISDIR(mode) or os.isatty(_DESCRIPTOR):
        kind = kind_of(mode) if stat.S_ISDIR(mode) else "a terminal"
        raise ImageError(f"{name}: standard input is {kind}, not an archive")
    if not _reading.acquire(blocking=False):
        raise ImageError(f"{name}: another image is being read from standard input")
    try:
        return Spool(files, name).append(_pieces(file, MAX_STANDARD_INPUT if limit is None else limit))
    finally:
        _reading.release()
        files.release(file)


def _pieces(file: FileHandle, limit: int) -> Iterator[bytes]:
    """Yield what comes; a wait for more ends when the file is closed."""
    count = 0
    last = time.monotonic()
    while True:
        with file.use() as descriptor:
            try:
                piece = os.read(descriptor, _READ_AT_ONCE) if _is_ready(descriptor) else None
            except OSError as error:
                raise ImageError(f"{file.name} cannot be read: {error.strerror}") from error
        if piece == b"":
            return
        if piece is None:
            if time.monotonic() - last > _LONGEST_SILENCE:
                raise ImageError(f"{file.name}: nothing has come for {_LONGEST_SILENCE:.0f} seconds")
            continue
        last = time.monotonic()
        count += len(piece)
        if count > limit:
            raise ImageError(f"{file.name} has more than {limit} bytes")
        yield piece


def _is_ready(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_LOOK_AGAIN * 1000))
