"""Open files that threads share, and ranges of them."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aioecrpublic._common.text import printable
from aioecrpublic.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Generator

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


class FileHandle:
    """A file descriptor that threads may use while another closes it.

    `close` takes effect at once for new users and waits for nobody: the last running read closes the
    descriptor. Closed by number under a running read, the descriptor could by then be another file.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        """Take over an open file descriptor; `name` is for messages."""
        self.name = name
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._holders = 1
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @contextmanager
    def use(self) -> Generator[int, None, None]:
        """Lend the descriptor, which stays open until the block ends.

        Raises:
            ImageError: the file is closed.
        """
        with self._lock:
            if self._closed:
                raise ImageError(f"{self.name}: read after it was closed")
            self._holders += 1
        try:
            yield self._descriptor
        finally:
            self._let_go()

    def status(self) -> os.stat_result:
        """Return what the system knows of the file, its size among it."""
        with self.use() as descriptor:
            return os.fstat(descriptor)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises:
            ImageError: the file is shorter by now, unreadable or closed.
        """
        with self.use() as descriptor:
            try:
                data = os.pread(descriptor, length, offset)
                if len(data) == length:
                    return data
                return self._read_rest(descriptor, offset, length, data)
            except OSError as error:
                raise ImageError(f"{self.name}: cannot be read: {error.strerror}") from error

    def read_now(self, offset: int, buffer: memoryview) -> bool:
        """Fill `buffer` with the bytes from `offset` if the system has them in memory; whether it had.

        It does not wait for the disk (Linux, preadv2(2), RWF_NOWAIT), so it may be called on an event loop.

        Raises:
            ImageError: the file is closed.
        """
        if _NOWAIT is None:
            return False
        with self.use() as descriptor:
            try:
                return os.preadv(descriptor, [buffer], offset, _NOWAIT) == len(buffer)
            except OSError:
                # Not in memory, or not on this file system: either way a reader that may wait finds out.
                return False

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`.

        Raises:
            ImageError: it cannot be written, for lack of room for example, or the file is closed.
        """
        with self.use() as descriptor:
            rest = memoryview(data)
            try:
                while rest:
                    written = os.pwrite(descriptor, rest, offset)
                    offset += written
                    rest = rest[written:]
            except OSError as error:
                raise ImageError(f"{self.name}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the descriptor, or leave that to the last read still running."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
        os.close(self._descriptor)

    def _read_rest(self, descriptor: int, offset: int, length: int, data: bytes) -> bytes:
        # One pread returns at most 2 GiB, and may return less than asked at any time.
        pieces = [data]
        done = len(data)
        while done < length:
            piece = os.pread(descriptor, length - done, offset + done)
            if not piece:
                raise ImageError(
                    f"{self.name}: ends at byte {offset + done}, where {length - done} more are needed; "
                    "it was truncated while being read"
                )
            pieces.append(piece)
            done += len(piece)
        return b"".join(pieces)

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed file {printable(self.name)}", ResourceWarning, source=self, stacklevel=2)
            self.close()


class FileRange:
    """A range of an open file; a `BlobReader`."""

    def __init__(self, file: FileHandle, start: int, length: int) -> None:
        """Describe `length` bytes of `file` from `start`."""
        self.file = file
        self.start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Return exactly `length` bytes from `offset` within the range."""
        check_range(offset, length, self._length)
        return self.file.read_at(self.start + offset, length)

    def read_now(self, offset: int, buffer: memoryview, /) -> bool:
        """Fill `buffer` with the bytes from `offset` within the range if they are in memory; whether so."""
        check_range(offset, len(buffer), self._length)
        return self.file.read_now(self.start + offset, buffer)

    def part(self, offset: int, length: int) -> FileRange:
        """Return a range within this one."""
        check_range(offset, length, self._length)
        return FileRange(self.file, self.start + offset, length)


class OpenFiles:
    """The open files of one source: closed together, and none is opened after that.

    Closing them is also how work in a thread is stopped: its next read fails.
    """

    def __init__(self) -> None:
        self._files: set[FileHandle] = set()
        self._lock = threading.Lock()
        self._closed = False

    def adopt(self, descriptor: int, name: str) -> FileHandle:
        """Take over an open file descriptor.

        Raises:
            ImageError: everything was closed meanwhile, and so is this one now.
        """
        file = FileHandle(descriptor, name)
        with self._lock:
            if not self._closed:
                self._files.add(file)
                return file
        file.close()
        raise ImageError(f"{name}: opened after it was closed")

    def release(self, file: FileHandle) -> None:
        """Close one file."""
        file.close()
        with self._lock:
            self._files.discard(file)

    def close(self) -> None:
        """Close all files, now and in future."""
        with self._lock:
            self._closed = True
            files = list(self._files)
            self._files.clear()
        for file in files:
            file.close()


def check_range(offset: int, length: int, size: int) -> None:
    """Check that a range lies within `size` bytes.

    Raises:
        ValueError: it does not.
    """
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"the range of {length} bytes from {offset} is not within {size} bytes")
