"""Programs in a terminal of their own, tmux's, as a user sees them and interrupts them."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.support.tools import require
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

CTRL_C = "C-c"
_COLUMNS, _LINES = 160, 50
_CONFIGURATION = "set -g history-limit 5000; set -g status off"
# The terminal stays when its program has ended; Ctrl-C is for the program alone.
_SCRIPT = 'trap : INT; "$@"; echo $? >"$0"; while :; do sleep 60; done'
_PAUSE = 0.05
_TIMEOUT = 60.0


@attrs.frozen
class Seen:
    """A program that has ended, and all that its terminal shows, what has scrolled away included."""

    status: int
    screen: str


@attrs.frozen
class Terminal:
    """A terminal with a program in it."""

    directory: Path
    env: dict[str, str]

    async def screen(self) -> str:
        """What it shows now, line by line, long lines whole."""
        shown = await self.tmux("capture-pane", "-p", "-J", "-S", "-")
        return "\n".join(line.rstrip() for line in shown.rstrip().splitlines())

    async def shows(self, text: str) -> str:
        """Wait for ``text`` to be on the screen; the screen."""
        async with asyncio.timeout(_TIMEOUT):
            while text not in (screen := await self.screen()):
                assert not self._status(), f"{text!r} has not come:\n{screen}"
                await asyncio.sleep(_PAUSE)
        return screen

    async def press(self, key: str) -> None:
        """Press a key, in tmux's words."""
        await self.tmux("send-keys", key)

    async def end(self) -> Seen:
        """Wait for the program to end."""
        await until(lambda: self._status().endswith("\n"), _TIMEOUT)
        return Seen(int(self._status()), await self.screen())

    async def tmux(self, *arguments: str) -> str:
        """What a command of tmux answers."""
        own = ("-S", str(self.directory / "socket"), "-f", str(self.directory / "tmux.conf"))
        done = await asyncio.to_thread(
            subprocess.run,
            [require("tmux"), *own, *arguments],
            env=self.env, capture_output=True, text=True, check=True, timeout=_TIMEOUT,
        )  # fmt: skip
        return done.stdout

    def _status(self) -> str:
        status = self.directory / "status"
        return status.read_text() if status.exists() else ""


@asynccontextmanager
async def terminal(*arguments: str, cwd: Path, env: dict[str, str]) -> AsyncGenerator[Terminal]:
    """Run Python with ``arguments`` in a terminal."""
    # Not below pytest's directory: the name of a socket is short.
    with tempfile.TemporaryDirectory(prefix="tmux-") as directory:
        (Path(directory) / "tmux.conf").write_text(_CONFIGURATION)
        env = {name: value for name, value in env.items() if name not in {"TMUX", "COLUMNS", "LINES"}}
        opened = Terminal(Path(directory), env | {"LC_ALL": "C.UTF-8"})
        command = ["sh", "-c", _SCRIPT, str(Path(directory) / "status"), sys.executable, *arguments]
        size = ("-x", str(_COLUMNS), "-y", str(_LINES))
        await opened.tmux("new-session", "-d", *size, "-c", str(cwd), shlex.join(command))
        try:
            yield opened
        finally:
            await opened.tmux("kill-server")


async def in_terminal(
    *arguments: str, cwd: Path, env: dict[str, str], interrupt_after: Awaitable[object] | None = None
) -> Seen:
    """Run Python with ``arguments`` in a terminal to its end; press Ctrl-C when the awaitable is done."""
    async with terminal(*arguments, cwd=cwd, env=env) as opened:
        if interrupt_after is not None:
            await interrupt_after
            await opened.press(CTRL_C)
        return await opened.end()
