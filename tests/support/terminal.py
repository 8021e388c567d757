"""Programs in a terminal of their own, as a user sees them and interrupts them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

CTRL_C = b"\x03"


@attrs.frozen
class Seen:
    """A program that has ended, and all that its terminal has shown."""

    status: int
    screen: str


async def in_terminal(
    *arguments: str, cwd: Path, env: dict[str, str], interrupt_after: Awaitable[object] | None = None
) -> Seen:
    """Run Python with ``arguments`` in a terminal to its end; press Ctrl-C when the awaitable is done."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 160))
    process = subprocess.Popen(  # noqa: ASYNC220 - starts at once; the waiting is done in a thread
        [sys.executable, *arguments],
        cwd=cwd, env=env | {"TERM": "xterm", "COLUMNS": "160"}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509 - no other way to the terminal
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = asyncio.ensure_future(asyncio.to_thread(_read_all, ours))
        if interrupt_after is not None:
            await interrupt_after
            os.write(ours, CTRL_C)
        screen = await shown
        return Seen(await asyncio.to_thread(process.wait), screen)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_all(descriptor: int) -> str:
    shown = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            # How Linux says that the last program has left the terminal.
            data = b""
        if not data:
            return shown.decode()
        shown += data
