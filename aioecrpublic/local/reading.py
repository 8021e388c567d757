"""Files read for replies, without holding up the event loop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO, Final

from aioecrpublic.local.threads import run_to_its_end

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Linux has it (preadv2(2)).
_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


async def read_at(threads: Executor, file: BinaryIO, offset: int, size: int) -> bytearray:
    """Exactly ``size`` bytes of a file from ``offset`` on.

    What the system has in memory is copied at once, which takes less than asking a thread to; for what it has
    not, a thread waits.

    Args:
        threads: The threads that may wait.
        file: The file.
        offset: Where to begin.
        size: How many bytes; so many are copied at once as the event loop can bear.

    Raises:
        EOFError: The file ends before.
    """
    buffer = bytearray(size)
    done = _read_now(file, offset, buffer)
    if done < size:
        await run_to_its_end(threads, _read, file, offset, memoryview(buffer), done)
    else:
        # Who takes everything at once would leave nobody else a turn.
        await asyncio.sleep(0)
    return buffer


def _read_now(file: BinaryIO, offset: int, buffer: bytearray) -> int:
    """How many bytes came without waiting."""
    if _NOWAIT is None:
        return 0
    try:
        return os.preadv(file.fileno(), [buffer], offset, _NOWAIT)
    except OSError:
        # Not in memory, or not on this file system: a read that may wait finds out.
        return 0


def _read(file: BinaryIO, offset: int, buffer: memoryview, done: int) -> None:
    """Fill a buffer of which some is filled already; blocks."""
    while done < len(buffer):
        count = os.preadv(file.fileno(), [buffer[done:]], offset + done)
        if not count:
            raise EOFError("a file is shorter than it was")
        done += count
