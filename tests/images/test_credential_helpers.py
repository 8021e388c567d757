"""That no credential helper, whatever it does, waits longer, takes more or says more than it may."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aioecrpublic._common.cancellation import CancellationToken
from aioecrpublic.images import RegistryCredentials
from aioecrpublic.images import credential_helpers as module
from aioecrpublic.images.credential_helpers import HelperError, ask_helper
from aioecrpublic.images.docker_config import look_up_credentials
from tests.support.waiting import until, until_blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    Install = Callable[..., Path]

ANSWER = '{"Username": "someone", "Secret": "word"}'
# A bound against hanging: far more than what is waited for, far less than what the helpers would take.
SOON = 20.0


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts the helper `test` on the path; it may write its number to `pid`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def put(script: str, *, first: str = "#!/bin/sh\n", mode: int = 0o700) -> Path:
        path = tmp_path / "docker-credential-test"
        path.write_text(f"{first}{script}\n")
        path.chmod(mode)
        return path

    return put


def ask(server: str = "ghcr.io", token: CancellationToken | None = None) -> bytes | None:
    return ask_helper("test", server, token or CancellationToken())


def is_running(pid: int) -> bool:
    """Say whether a process is there that has not ended; who ended may still have to be waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def await_end(*files: Path) -> None:
    numbers = [int(file.read_text()) for file in files]
    until_blocking(lambda: not any(is_running(number) for number in numbers))


def test_it_is_given_the_server_and_its_answer_is_taken(install: Install) -> None:
    install("cat > asked; echo $1 > verb; echo noise >&2; printf answer; exec >&-; sleep 0.2")
    assert ask("https://ghcr.io") == b"answer"
    assert Path("asked").read_text("utf-8") == "https://ghcr.io"
    assert Path("verb").read_text("utf-8") == "get\n"


def test_the_sentence_of_the_protocol_means_none(install: Install) -> None:
    install("echo credentials not found in native keychain; exit 1")
    assert ask() is None


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 1", "docker-credential-test failed with exit status 1"),
        ("echo hidden; exit 2", "docker-credential-test failed with exit status 2"),
        ("echo credentials not found in native keychain >&2; exit 1", "failed with exit status 1"),
        ("kill -9 $$", "docker-credential-test was ended by signal 9"),
    ],
)
def test_a_failure_is_told_without_its_output(install: Install, script: str, says: str) -> None:
    install(script)
    with pytest.raises(HelperError, match=says) as caught:
        ask()
    assert "hidden" not in str(caught.value)


def test_one_that_does_not_read_may_answer_or_fail(install: Install) -> None:
    install(f"exec <&-; sleep 0.1; echo '{ANSWER}'")
    assert ask() == f"{ANSWER}\n".encode()
    # More than a pipe takes is no reason to wait.
    install("sleep 100")
    with pytest.raises(HelperError, match="does not read what it is asked"):
        ask("x" * 1_000_000)


@pytest.mark.parametrize(
    ("first", "mode", "says"),
    [
        ("#!/bin/sh\n", 0o600, "is not installed"),
        ("#!/nowhere/interpreter\n", 0o700, "cannot be run: No such file or directory"),
        ("\x7fELF", 0o700, "cannot be run: Exec format error"),
    ],
)
def test_one_that_cannot_be_run(install: Install, first: str, mode: int, says: str) -> None:
    install("", first=first, mode=mode)
    with pytest.raises(HelperError, match=says):
        ask()


@pytest.mark.parametrize("path", [".", ":/usr/bin:/bin", "/usr/bin::/bin", ""])
def test_one_in_the_current_directory_is_not_run(
    install: Install, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("touch ran")
    monkeypatch.setenv("PATH", path)
    with pytest.raises(HelperError, match="is in none of PATH's directories"):
        ask()
    assert not Path("ran").exists()


def test_one_that_does_not_answer_is_killed_with_what_it_has_started(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.5)
    install("trap '' TERM INT HUP; sleep 100 & echo $! > child; echo $$ > pid; sleep 100")
    with pytest.raises(HelperError, match=r"has not answered for 0\.5 s"):
        ask()
    await_end(Path("pid"), Path("child"))


def test_one_that_closes_its_output_and_stays_is_killed(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.5)
    install(f"echo $$ > pid; echo '{ANSWER}'; exec >&-; sleep 100")
    with pytest.raises(HelperError, match="has not answered"):
        ask()
    await_end(Path("pid"))


def test_a_program_that_it_leaves_behind_is_not_waited_for(install: Install) -> None:
    """It holds the pipe, as a daemon may that a helper starts; the answer is there all the same."""
    install(f"setsid sleep 100 & echo $! > child; printf '%s' '{ANSWER}'")
    started = time.monotonic()
    try:
        assert ask() == ANSWER.encode()
        assert time.monotonic() - started < SOON
        assert is_running(int(Path("child").read_text(encoding="utf-8")))
    finally:
        os.kill(int(Path("child").read_text(encoding="utf-8")), signal.SIGKILL)


@pytest.mark.parametrize("endless", ["yes", "cat /dev/zero"])
def test_an_answer_without_end_is_not_kept(install: Install, endless: str) -> None:
    install(f"echo $$ > pid; {endless}")
    with pytest.raises(HelperError, match="answers with more than 1048576 bytes"):
        ask()
    await_end(Path("pid"))


def test_nobody_waits_for_it_any_more(install: Install) -> None:
    install("echo $$ > pid; sleep 100")
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        ask(token=token)


async def test_it_runs_beside_the_event_loop_and_ends_with_its_caller(
    install: Install, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {"ghcr.io": "test"}}))
    install(f"until [ -e go ]; do sleep 0.05; done; echo '{ANSWER}'")
    looking = asyncio.create_task(look_up_credentials("ghcr.io", config))
    await asyncio.sleep(0.1)
    (tmp_path / "go").touch()
    found = await looking
    assert found == RegistryCredentials(username="someone", password="word")

    install("echo $$ > pid; sleep 100")
    looking = asyncio.create_task(look_up_credentials("ghcr.io", config))
    await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await asyncio.to_thread(await_end, tmp_path / "pid")
