"""A file that others change too: nobody's change is lost, and what happens in the middle harms nothing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aioecrpublic._common.cancellation import CancellationToken, call_in_thread
from aioecrpublic.errors import ConfigurationError
from aioecrpublic.manage import shared_file as module
from aioecrpublic.manage.shared_file import change_file, read_file
from tests.support.users import public_directory, without_rights

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10_000
# Adds lines to a file, as fast as it can.
ADDING = """
import sys
from pathlib import Path
from aioecrpublic._common.cancellation import CancellationToken
from aioecrpublic.manage.shared_file import change_file
path, name, count = sys.argv[1:]
for number in range(int(count)):
    line = f"{name}{number}\\n".encode()
    change_file(Path(path), lambda content: content + line, 100_000, CancellationToken())
"""
# Changes a file once and kills itself at some point.
DYING = """
import os, signal, sys
from pathlib import Path
from aioecrpublic._common.cancellation import CancellationToken
from aioecrpublic.manage import shared_file

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

path, moment = sys.argv[1:]
match moment:
    case "locked":
        shared_file._replace = die
    case "read":
        shared_file._write = die
    case "half written":
        shared_file._write = lambda descriptor, content: (os.write(descriptor, content[:5]), die())
    case "written":
        shared_file._copy_attributes = die
    case "complete":
        os.fsync = die
    case "compared":
        Path.replace = die
    case "replaced":
        shared_file._sync_directory = die
shared_file.change_file(Path(path), lambda content: b"new content\\n", 100, CancellationToken())
"""


def change(path: Path, work: Callable[[bytes], bytes], token: CancellationToken | None = None) -> None:
    change_file(path, work, LIMIT, token or CancellationToken())


def adding(text: str) -> Callable[[bytes], bytes]:
    return lambda content: content + text.encode()


def lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.aioecrpublic")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a directory of its own, in which nothing else may be left."""
    path = tmp_path / "directory" / "file"
    path.parent.mkdir()
    path.write_text("old\n")
    return path


def assert_alone(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


async def test_tasks_at_once_all_have_their_effect(path: Path) -> None:
    async def add(number: int) -> None:
        await call_in_thread(lambda token: change(path, adding(f"{number}\n"), token))

    await asyncio.gather(*(add(number) for number in range(60)))
    lines = path.read_text(encoding="utf-8").split()
    assert lines[0] == "old"
    assert sorted(map(int, lines[1:])) == list(range(60))
    assert_alone(path)


async def test_processes_at_once_all_have_their_effect(path: Path) -> None:
    link = path.parent.parent / "link"
    link.symlink_to(path)
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", ADDING, str(place), name, "25")
        for name, place in (("a", path), ("b", path), ("c", link), ("d", path))
    ]
    for process in running:
        assert await asyncio.wait_for(process.wait(), 120) == 0
    lines = path.read_text(encoding="utf-8").split()
    assert sorted(lines) == sorted(["old", *(f"{name}{number}" for name in "abcd" for number in range(25))])
    assert_alone(path)


class TestForeignChanges:
    """Changes by programs that know nothing of the lock, between reading and replacing."""

    def test_one_is_kept(self, path: Path) -> None:
        calls = []

        def work(content: bytes) -> bytes:
            calls.append(content)
            if len(calls) == 1:
                other = path.with_name("other")
                other.write_bytes(content + b"foreign\n")
                other.replace(path)
            return content + b"ours\n"

        change(path, work)
        assert calls == [b"old\n", b"old\nforeign\n"]
        assert path.read_bytes() == b"old\nforeign\nours\n"
        assert_alone(path)

    def test_one_in_place_of_the_same_size_is_kept(self, path: Path) -> None:
        def work(content: bytes) -> bytes:
            if content == b"old\n":
                path.write_bytes(b"new\n")
            return content + b"ours\n"

        change(path, work)
        assert path.read_bytes() == b"new\nours\n"

    def test_new_permissions_are_kept(self, path: Path) -> None:
        modes = iter([0o640, 0o600, 0o600])

        def work(content: bytes) -> bytes:
            path.chmod(next(modes))
            return content + b"ours\n"

        path.chmod(0o644)
        change(path, work)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_file_that_is_removed_or_made_meanwhile(self, path: Path) -> None:
        def removing(content: bytes) -> bytes:
            path.unlink(missing_ok=True)
            return content + b"ours\n"

        change(path, removing)
        assert path.read_bytes() == b"ours\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.unlink()

        def making(content: bytes) -> bytes:
            if not content:
                path.write_bytes(b"foreign\n")
            return content + b"ours\n"

        change(path, making)
        assert path.read_bytes() == b"foreign\nours\n"

    def test_changes_without_end_are_an_error(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_MAX_ROUNDS", 5)

        def work(content: bytes) -> bytes:
            path.write_bytes(content + b"x")
            return content + b"ours\n"

        with pytest.raises(ConfigurationError, match="another program changes it all the time"):
            change(path, work)
        assert path.read_bytes() == b"old\nxxxxx"
        assert_alone(path)


class TestWhatStays:
    def test_permissions(self, path: Path) -> None:
        path.chmod(0o640)
        change(path, adding("new\n"))
        assert path.read_text(encoding="utf-8") == "old\nnew\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_extended_attributes(self, path: Path) -> None:
        try:
            os.setxattr(path, "user.test", b"value")
        except OSError as error:
            pytest.skip(f"no extended attributes here: {error.strerror}")
        change(path, adding("new\n"))
        assert path.read_text(encoding="utf-8") == "old\nnew\n"
        assert os.getxattr(path, "user.test") == b"value"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_owner_and_group(self, path: Path) -> None:
        os.chown(path, 12345, 23456)
        change(path, adding("new\n"))
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (12345, 23456)

    def test_an_owner_that_could_not_stay_is_an_error(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "fchown", refuse)
        there = path.stat()
        other = os.stat_result((*there[:4], there.st_uid + 1, *there[5:]))
        monkeypatch.setattr(module, "_read", lambda *_: module._Version(b"old\n", other, {}))
        with pytest.raises(ConfigurationError, match="its owner or group would not stay"):
            change(path, adding("new\n"))
        assert path.read_text(encoding="utf-8") == "old\n"
        assert_alone(path)

    def test_links(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "links").symlink_to(path.parent)
        link = tmp_path / "link"
        link.symlink_to("links/file")
        change(link, adding("new\n"))
        assert link.is_symlink()
        assert path.read_text(encoding="utf-8") == "old\nnew\n"
        assert_alone(path)
        path.unlink()
        change(link, adding("made\n"))
        assert link.is_symlink()
        assert path.read_text(encoding="utf-8") == "made\n"

    def test_a_file_without_a_change_is_left_alone(self, path: Path) -> None:
        before = path.stat()
        change(path, lambda content: content)
        assert path.stat() == before
        assert_alone(path)

    def test_what_goes_wrong_in_the_change_goes_wrong_with_it_alone(self, path: Path) -> None:
        def work(content: bytes) -> bytes:
            raise RuntimeError(content.decode())

        with pytest.raises(RuntimeError, match="old"):
            change(path, work)
        assert path.read_text(encoding="utf-8") == "old\n"
        assert_alone(path)

    def test_a_new_file_is_private_and_its_directories_are_made(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "directory" / "file"
        change(path, adding("new\n"))
        assert path.read_text() == "new\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class TestTheLock:
    def test_another_holder_is_waited_for_but_not_for_ever(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_MAX_WAIT", 0.3)
        with lock_of(path).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(ConfigurationError) as caught:
                change(path, adding("new\n"))
        assert str(caught.value) == f"{lock_of(path)}: has been locked by another process for 0.3 s"
        assert path.read_text(encoding="utf-8") == "old\n"
        change(path, adding("new\n"))
        assert path.read_text(encoding="utf-8") == "old\nnew\n"
        assert_alone(path)

    def test_who_is_wanted_no_more_does_not_wait(self, path: Path) -> None:
        token = CancellationToken()
        token.cancel()
        with lock_of(path).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(CancelledError):
                change(path, adding("new\n"), token)

    async def test_cancellation_ends_the_waiting(self, path: Path) -> None:
        with lock_of(path).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            waiting = asyncio.create_task(call_in_thread(lambda token: change(path, adding("new\n"), token)))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            # The event loop's end waits for the thread.
            started = time.monotonic()
            await asyncio.get_running_loop().shutdown_default_executor()
            assert time.monotonic() - started < module._MAX_WAIT / 2
        assert path.read_text(encoding="utf-8") == "old\n"

    def test_what_a_killed_process_has_left_is_not_written_to(self, path: Path) -> None:
        """It might have another name by which somebody else reads it."""
        other = path.parent.parent / "other"
        other.write_text("something else\n")
        lock_of(path).hardlink_to(other)
        change(path, adding("new\n"))
        assert path.read_text(encoding="utf-8") == "old\nnew\n"
        assert other.read_text(encoding="utf-8") == "something else\n"
        assert_alone(path)

    def test_a_lock_file_that_is_none(self, path: Path) -> None:
        lock_of(path).symlink_to(path)
        with pytest.raises(ConfigurationError, match=f"Too many levels of symbolic links .{lock_of(path)}"):
            change(path, adding("new\n"))
        lock_of(path).unlink()
        os.mkfifo(lock_of(path))
        with pytest.raises(ConfigurationError, match=r"not a regular file \(a FIFO\)"):
            change(path, adding("new\n"))
        assert lock_of(path).exists()
        assert path.read_text(encoding="utf-8") == "old\n"


class TestRefusals:
    @pytest.mark.parametrize("kind", ["directory", "FIFO", "loop", "too large", "below a file"])
    def test_what_is_not_a_file(self, kind: str, path: Path) -> None:
        path.unlink()
        match kind:
            case "directory":
                path.mkdir()
            case "FIFO":
                os.mkfifo(path)
            case "loop":
                path.symlink_to(path)
            case "too large":
                path.write_bytes(bytes(LIMIT + 1))
            case "below a file":
                path.write_bytes(b"")
                path /= "file"
        said = {
            "directory": r"not a regular file \(a directory\)",
            "FIFO": r"not a regular file \(a FIFO\)",
            "loop": "Too many levels of symbolic links",
            "too large": "larger than 10000 bytes",
            "below a file": "(Not a directory|File exists)",
        }[kind]
        for work in (lambda: read_file(path, LIMIT), lambda: change(path, adding("new\n"))):
            with pytest.raises(ConfigurationError, match=f"^{path}: cannot be changed: {said}"):
                work()

    def test_a_path_that_is_none(self) -> None:
        with pytest.raises(ConfigurationError, match=r"a\\x00b: not a valid path: embedded null"):
            change(Path("a\0b"), adding("new\n"))

    def test_what_must_not_be_written(self) -> None:
        with public_directory() as directory:
            path = directory / "file"
            path.write_text("old\n")
            path.chmod(0o444)
            with without_rights(), pytest.raises(ConfigurationError) as caught:
                change(path, adding("new\n"))
            assert str(caught.value) == f"{path}: cannot be changed: Permission denied"
            assert_alone(path)
            path.chmod(0o666)
            directory.chmod(0o555)
            with without_rights(), pytest.raises(ConfigurationError, match="Permission denied") as caught:
                change(path, adding("new\n"))
            assert str(caught.value).startswith(f"{path}: cannot be changed: ")
            directory.chmod(0o755)
            assert path.read_text() == "old\n"


class TestCrashes:
    @pytest.mark.parametrize(
        ("moment", "content"),
        [
            ("locked", "old\n"),
            ("read", "old\n"),
            ("half written", "old\n"),
            ("written", "old\n"),
            ("complete", "old\n"),
            ("compared", "old\n"),
            ("replaced", "new content\n"),
        ],
    )
    def test_a_kill_leaves_the_old_content_or_the_new(self, moment: str, content: str, path: Path) -> None:
        path.chmod(0o640)
        died = subprocess.run([sys.executable, "-c", DYING, str(path), moment], check=False)
        assert died.returncode == -signal.SIGKILL
        assert path.read_text(encoding="utf-8") == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        # Whoever comes next is not in the way of what was left, and takes it away.
        change(path, lambda _: b"x")
        assert path.read_text(encoding="utf-8") == "x"
        assert_alone(path)

    def test_a_kill_at_any_moment_loses_nothing_that_was_done(self, path: Path) -> None:
        for number in range(6):
            before = path.read_text(encoding="utf-8")
            adding_lines = [sys.executable, "-c", ADDING, str(path), f"{number}-", "100000"]
            with subprocess.Popen(adding_lines) as process:
                while path.read_text(encoding="utf-8") == before:
                    time.sleep(0.001)
                time.sleep(number / 500)
                process.kill()
            after = path.read_text(encoding="utf-8")
            assert after.startswith(before)
            added = after.removeprefix(before).split("\n")
            assert added == [*(f"{number}-{line}" for line in range(len(added) - 1)), ""]
        change_file(path, adding("last\n"), 1_000_000, CancellationToken())
        assert_alone(path)
