"""A local registry in a process of its own: to be killed and started again, or looked at from outside."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic.local import LocalECRPublic
from tests.tools.benchmarks.process import forget_peak, look

if TYPE_CHECKING:
    from collections.abc import Generator
    from multiprocessing.connection import Connection

_START_TIMEOUT = 60.0
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@attrs.frozen
class Vitals:
    """What a registry's process holds.

    Attributes:
        tasks: Tasks of its loop.
        files: Open file descriptors.
        threads: Threads.
        resident: Bytes of memory that no file stands behind.
        peak: The most bytes of memory of any kind, since the process was last looked at.
    """

    tasks: int
    files: int
    threads: int
    resident: int
    peak: int


class RegistryProcess:
    """Starts, kills and looks at registries on one port, one after the other.

    Args:
        options: Arguments of `LocalECRPublic`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {"port": quiet_port(), **options}
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def url(self) -> str:
        """Where it answers while it runs."""
        return f"http://127.0.0.1:{self._options['port']}"

    def start(self) -> None:
        """Start one, and wait until it answers."""
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_run, args=(self._options, theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.poll(_START_TIMEOUT)
        assert self._pipe.recv() == "started"

    def kill(self) -> None:
        """Kill it, as if the power went."""
        assert self._process is not None
        self._process.kill()
        self._end()
        assert self._process.exitcode == -signal.SIGKILL

    def stop(self) -> None:
        """Let it end."""
        assert self._process is not None
        assert self._pipe is not None
        self._pipe.send("stop")
        self._end()
        assert self._process.exitcode == 0

    def vitals(self) -> Vitals:
        """What it holds now."""
        assert self._pipe is not None
        self._pipe.send("vitals")
        found = self._pipe.recv()
        assert isinstance(found, Vitals)
        return found

    def _end(self) -> None:
        assert self._process is not None
        assert self._pipe is not None
        self._process.join()
        self._pipe.close()


@contextmanager
def registry_process(**options: Any) -> Generator[RegistryProcess, None, None]:
    """A registry that runs until the end."""
    registry = RegistryProcess(**options)
    registry.start()
    try:
        yield registry
    except BaseException:
        registry.kill()
        raise
    registry.stop()


def quiet_port() -> int:
    """A free port that no connection is given as its own while nobody listens on it."""
    candidates = random.Random(os.getpid())
    while True:
        port = candidates.randrange(10_000, 32_000)
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _run(options: dict[str, Any], pipe: Connection) -> None:
    asyncio.run(_serve(options, pipe))


async def _serve(options: dict[str, Any], pipe: Connection) -> None:
    async with LocalECRPublic(**options):
        pipe.send("started")
        while await asyncio.to_thread(pipe.recv) != "stop":
            pipe.send(_vitals())


def _vitals() -> Vitals:
    status = look()
    forget_peak()
    return Vitals(
        tasks=len(asyncio.all_tasks()),
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=status.threads,
        resident=status.anonymous,
        peak=status.peak,
    )
