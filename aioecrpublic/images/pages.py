"""Bytes in memory that goes back to the system as soon as nobody holds them."""

from __future__ import annotations

import mmap


class Pages:
    """A `BlobReader` of `length` bytes that are written once, from the first to the last.

    malloc keeps memory of this size when it is freed, up to twice what is in use; pages of their own are
    what a budget counts and no more.
    """

    def __init__(self, length: int) -> None:
        self._pages = mmap.mmap(-1, length)

    def __len__(self) -> int:
        return len(self._pages)

    def write(self, data: bytes) -> None:
        """Add what follows the bytes written so far."""
        self._pages.write(data)

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self._pages[offset : offset + length]

    def read_now(self, offset: int, buffer: memoryview, /) -> bool:
        """Fill `buffer` with the bytes from `offset`."""
        buffer[:] = memoryview(self._pages)[offset : offset + len(buffer)]
        return True
