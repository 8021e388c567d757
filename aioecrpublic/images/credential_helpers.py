"""Credential helpers: programs that a configuration file names, run to learn the credentials of a registry.

Their protocol is that of docker-credential-helpers (README, "Development"): one word as argument, the server
on standard input, JSON or a message on standard output, and an exit status.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess  # noqa: S404 - credential helpers are programs
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from aioecrpublic.images.errors import ImageError

if TYPE_CHECKING:
    from aioecrpublic._common.cancellation import CancellationToken

_TIMEOUT: Final = 30.0
_INTERVAL: Final = 0.05
"""Seconds between two looks at whether the helper has ended or is wanted no more."""
_MAX_ANSWER: Final = 1024 * 1024
# A helper's only word for having none (docker-credential-helpers, credentials/error.go).
_NOT_FOUND: Final = b"credentials not found in native keychain"


class HelperError(ImageError):
    """A credential helper is missing or does not do what it is for."""


def ask_helper(helper: str, server: str, cancellation: CancellationToken) -> bytes | None:
    """Run ``docker-credential-HELPER get``; return its answer, or None if it has no credentials.

    The helper and what it has started are killed when the time is up, when the answer is too long, or when
    nobody waits for it any more.

    Raises:
        HelperError: The helper is not installed, fails or does not answer. What it has written is never part
            of the message, because it may hold a secret.
    """
    program = f"docker-credential-{helper}"
    path = shutil.which(program)
    # As in Go (os/exec, ErrDot): what happens to lie in the current directory is not run.
    if path is None or not Path(path).is_absolute():
        raise HelperError(f"{program} is not installed: it is in none of PATH's directories")
    try:
        process = subprocess.Popen(  # noqa: S603 - it is the user's own configuration, and no shell takes part
            [path, "get"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise HelperError(f"{program} cannot be run: {error.strerror}") from error
    try:
        answer, status = _HelperRun(process, program, cancellation).run(server)
    finally:
        _end(process)
    if status == 0:
        return answer
    if _NOT_FOUND in answer:
        return None
    how = f"failed with exit status {status}" if status > 0 else f"was ended by signal {-status}"
    raise HelperError(f"{program} {how}")


class _HelperRun:
    """One run of a helper, within a limit of time and of length."""

    def __init__(
        self, process: subprocess.Popen[bytes], program: str, cancellation: CancellationToken
    ) -> None:
        self._process = process
        self._program = program
        self._cancellation = cancellation
        self._deadline = monotonic() + _TIMEOUT

    def run(self, server: str) -> tuple[bytes, int]:
        """Return what the helper has written and its exit status, negative for a signal."""
        self._write(server.encode())
        answer = self._read()
        while True:
            self._check()
            with suppress(subprocess.TimeoutExpired):
                return answer, self._process.wait(_INTERVAL)

    def _check(self) -> None:
        self._cancellation.raise_if_cancelled()
        if monotonic() >= self._deadline:
            raise HelperError(f"{self._program} has not answered for {_TIMEOUT:g} s")

    def _write(self, request: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise AssertionError
        # Not blocking: a helper may never read what is longer than the pipe.
        os.set_blocking(stdin.fileno(), False)
        # A helper that ends without reading tells by its exit status why.
        with suppress(BrokenPipeError), stdin:
            if stdin.write(request) != len(request):
                raise HelperError(f"{self._program} does not read what it is asked")

    def _read(self) -> bytes:
        """Read until the helper closes the pipe, or ends: a program that it has started may keep the pipe."""
        stdout = self._process.stdout
        if stdout is None:
            raise AssertionError
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                self._check()
                # Asked before the pipe is looked at: what was written before the end is then in it.
                ended = self._process.poll() is not None
                if selector.select(0 if ended else _INTERVAL):
                    piece = os.read(stdout.fileno(), 64 * 1024)
                    answer += piece
                    if len(answer) > _MAX_ANSWER:
                        raise HelperError(f"{self._program} answers with more than {_MAX_ANSWER} bytes")
                    if not piece:
                        return bytes(answer)
                elif ended:
                    return bytes(answer)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a helper that still runs, with what it has started; close its pipes."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    # Not once it has been waited for: its number may be another process's by now.
    if process.poll() is None:
        # A helper that runs as another user may not be killed; it is not waited for either.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
