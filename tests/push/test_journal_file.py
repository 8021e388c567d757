"""Which files are taken for journals: all others stay as they are, and so does what is beside them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic import ConfigurationError, ECRPublicClient, PushError
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.journal import Journal, Left
from aioecrpublic.push.journal_file import APPLICATION_ID, claim
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping

DIGEST = f"sha256:{'a' * 64}"
# As the first journals wrote it.
FIRST_SCHEMA = """
CREATE TABLE IF NOT EXISTS upload (
    endpoint TEXT NOT NULL,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed >= 0),
    PRIMARY KEY (endpoint, registry, repository, digest)
) WITHOUT ROWID
"""


@pytest.fixture
async def destination() -> AsyncIterator[Destination]:
    async with ECRPublicClient(endpoint_url="http://127.0.0.1:1", anonymous=True) as client:
        yield Destination(client, "team/app")


def contents(directory: Path) -> Mapping[str, tuple[int, int, bytes | None]]:
    """Everything in a directory: mode, time of the last change, and the bytes of regular files."""
    found = {}
    for path in directory.iterdir():
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[path.name] = (status.st_mode, status.st_mtime_ns, data)
    return found


@contextmanager
def unchanged(directory: Path) -> Generator[None]:
    before = contents(directory)
    try:
        yield
    finally:
        assert contents(directory) == before


def database(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        for statement in statements:
            opened.execute(statement)
    return path.read_bytes()


NOTES = ("CREATE TABLE note (text)", "INSERT INTO note VALUES ('precious')")
OURS = f"PRAGMA application_id = {APPLICATION_ID}"
FIRST = (FIRST_SCHEMA, "PRAGMA user_version = 1")
ROW = f"INSERT INTO upload VALUES ('http://127.0.0.1:1', '', 'team/app', '{DIGEST}', 'u', 5)"  # noqa: S608 - ours


@pytest.mark.parametrize(
    "statements",
    [
        NOTES,
        (*NOTES, "PRAGMA user_version = 1"),
        (*NOTES, OURS, "PRAGMA user_version = 1"),
        (*NOTES, "PRAGMA journal_mode = WAL"),
        ("CREATE TABLE upload (id)", OURS, "PRAGMA user_version = 1"),
        (*FIRST, *NOTES),
        (*FIRST, "CREATE TRIGGER t AFTER INSERT ON upload BEGIN DELETE FROM upload; END"),
        (FIRST_SCHEMA,),
        (FIRST_SCHEMA, "PRAGMA user_version = 2"),
        (*FIRST, "PRAGMA application_id = 7"),
        ("PRAGMA user_version = 1",),
    ],
)
def test_a_database_of_somebody_elses_is_refused(tmp_path: Path, statements: tuple[str, ...]) -> None:
    path = tmp_path / "journal"
    database(path, *statements)
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match=f"^journal {path} is no journal"):
        claim(str(path))


def test_a_database_that_another_program_has_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        for statement in NOTES:
            theirs.execute(statement)
        assert Path(f"{path}-wal").stat().st_size
        with unchanged(tmp_path), pytest.raises(ConfigurationError, match="is no journal"):
            claim(str(path))
        assert theirs.execute("SELECT text FROM note").fetchall() == [("precious",)]


def test_one_that_another_program_was_killed_in_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    script = """
import os, sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None)
opened.execute("PRAGMA cache_size = 1")
opened.execute("CREATE TABLE note (text)")
opened.execute("BEGIN")
opened.executemany("INSERT INTO note VALUES (?)", [("x" * 3000,)] * 50)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert Path(f"{path}-journal").exists()
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match="is no journal"):
        claim(str(path))


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device", "loop"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str, *, linked: bool) -> None:
    target = tmp_path / "target"
    if kind == "directory":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(target))
    elif kind == "device":
        target = Path("/dev/null")
    else:
        target.symlink_to(target)
    path = tmp_path / "journal" if linked else target
    if linked:
        path.symlink_to(target)
    says = "Too many levels of symbolic links" if kind == "loop" else "not a regular file"
    with (
        unchanged(tmp_path),
        pytest.raises(ConfigurationError, match=f"^journal {path} cannot be used: {says}"),
    ):
        claim(str(path))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("no/such/journal", "No such file or directory"),
        ("file/journal", "Not a directory"),
        ("nul\0byte", ".*embedded null (byte|character)"),
        ("j" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_is_named(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "file").touch()
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match=rf"^journal .* cannot be used: {says}"):
        claim(f"{tmp_path}/{path}")


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^journal must be a path \(got int\)$"):
        Journal(5)  # type: ignore[arg-type]


UNPRIVILEGED = """
import asyncio, os, sys
from aioecrpublic.errors import ECRPublicError
from aioecrpublic.push.journal import Journal

async def main():
    for path in sys.argv[1:]:
        try:
            async with Journal(path):
                print("opened")
        except ECRPublicError as error:
            print(type(error).__name__, error)

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


def test_a_place_that_may_not_be_written_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        read_only, writable = directory / "read-only", directory / "writable"
        database(read_only, *FIRST)
        database(writable, *FIRST)
        read_only.chmod(0o444)
        # A file that may be written where nothing may be put beside it.
        writable.chmod(0o666)
        directory.chmod(0o555)
        paths = [read_only, writable, directory / "new"]
        with unchanged(directory):
            said = subprocess.run(
                [sys.executable, "-c", UNPRIVILEGED, *map(str, paths)],
                check=True, capture_output=True, text=True,
            ).stdout.splitlines()  # fmt: skip
        directory.chmod(0o755)
    assert said == [
        f"ConfigurationError journal {read_only} cannot be used: Permission denied",
        f"ConfigurationError journal {writable} cannot be used: attempt to write a readonly database",
        f"ConfigurationError journal {directory}/new cannot be used: Permission denied",
    ]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("empty", [False, True])
def test_what_is_beside_a_new_journal_is_not_taken_for_its_own(
    tmp_path: Path, suffix: str, *, empty: bool
) -> None:
    path = tmp_path / "build"
    Path(f"{path}{suffix}").write_bytes(b"notes")
    if empty:
        path.touch()
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match=f"{path}{suffix} is in its way"):
        claim(str(path))


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("kind", ["text", "directory", "link"])
async def test_what_is_beside_an_old_journal_is_not_taken_for_its_own(
    tmp_path: Path, destination: Destination, suffix: str, kind: str
) -> None:
    path = tmp_path / "build"
    async with Journal(path) as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
    beside = Path(f"{path}{suffix}")
    if kind == "text":
        beside.write_bytes(b"notes")
    elif kind == "directory":
        beside.mkdir()
    else:
        (tmp_path / "notes").write_bytes(b"\x37\x7f\x06\x82 precious")
        beside.symlink_to(tmp_path / "notes")
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match=f"{path}{suffix} is in its way"):
        claim(str(path))


async def test_shared_memory_of_somebody_elses_is_left_alone(
    tmp_path: Path, destination: Destination
) -> None:
    (tmp_path / "journal-shm").write_bytes(b"precious")
    for upload in ("u", "v"):
        async with Journal(tmp_path / "journal") as journal:
            await journal.confirm(destination, DIGEST, upload, 5)
    async with Journal(tmp_path / "journal") as journal:
        assert await journal.find(destination, DIGEST) == Left("v", 5)
        await journal.forget(destination, DIGEST)
    assert contents(tmp_path).keys() == {"journal-shm"}
    assert (tmp_path / "journal-shm").read_bytes() == b"precious"


async def test_an_empty_file_is_taken_and_keeps_its_mode(tmp_path: Path, destination: Destination) -> None:
    path = tmp_path / "journal"
    path.touch(0o600)
    async with Journal(path) as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
    assert path.stat().st_mode & 0o777 == 0o600
    async with Journal(path) as journal:
        assert await journal.find(destination, DIGEST) == Left("u", 5)


async def test_journals_are_marked(tmp_path: Path, destination: Destination) -> None:
    path = tmp_path / "journal"
    async with Journal(path) as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
async def test_the_first_journals_are_known_by_their_schema(
    tmp_path: Path, destination: Destination, mode: str
) -> None:
    path = tmp_path / "journal"
    database(path, f"PRAGMA journal_mode = {mode}", *FIRST, ROW)
    async with Journal(path) as journal:
        assert await journal.find(destination, DIGEST) == Left("u", 5)
    await test_journals_are_marked(tmp_path, destination)


async def test_one_of_the_first_whose_process_was_killed_is_known(
    tmp_path: Path, destination: Destination
) -> None:
    path = tmp_path / "journal"
    script = """
import os, sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for statement in sys.argv[2:]:
    opened.execute(statement)
os._exit(0)
"""
    statements = ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", *FIRST, ROW)
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, str(path), *statements], check=True
    )
    # All of it is in the log, nothing in the database.
    assert Path(f"{path}-wal").exists()
    assert b"upload" not in path.read_bytes()
    async with Journal(path) as journal:
        assert await journal.find(destination, DIGEST) == Left("u", 5)


async def test_a_link_is_followed_and_stays(tmp_path: Path, destination: Destination) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "journal"
    link.symlink_to("there/journal")
    async with Journal(link) as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
        with pytest.raises(PushError, match=f"^journal {tmp_path}/there/journal: in use by another push$"):
            async with Journal(tmp_path / "there" / "journal"):
                pass
    async with Journal(link) as journal:
        assert await journal.find(destination, DIGEST) == Left("u", 5)
        await journal.forget(destination, DIGEST)
    assert link.is_symlink()
    assert list((tmp_path / "there").iterdir()) == []


async def test_a_journal_of_another_version_is_refused(tmp_path: Path, destination: Destination) -> None:
    path = tmp_path / "journal"
    async with Journal(path) as journal:
        await journal.confirm(destination, DIGEST, "u", 5)
    database(path, "PRAGMA user_version = 7")
    with unchanged(tmp_path), pytest.raises(ConfigurationError, match=f"^journal {path} is of version 7, "):
        claim(str(path))


async def test_a_damaged_journal_is_refused_and_says_what_helps(
    tmp_path: Path, destination: Destination
) -> None:
    path = tmp_path / "journal"
    async with Journal(path) as journal:
        for number in range(200):
            await journal.confirm(destination, f"{DIGEST}{number}", "u" * 50, number)
    content = bytearray(path.read_bytes())
    # Neither the header nor the schema, which are on the first page.
    content[5 * 4096 + 100 : 5 * 4096 + 3000] = bytes(2900)
    says = rf"^journal {path} is damaged \(.+\); remove it, and .*{path}-wal, to push"
    for damaged in (content, content[:4096], content[:100] + b"\xff" * 4000):
        path.write_bytes(damaged)
        with unchanged(tmp_path), pytest.raises(ConfigurationError, match=says):
            claim(str(path))
    path.unlink()
    async with Journal(path) as journal:
        assert await journal.find(destination, f"{DIGEST}1") is None


async def test_a_program_that_uses_sqlite_has_it_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    database(path, *FIRST)
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PushError, match=f"^journal {path}: in use by another push$"):
            async with Journal(path):
                pass
    async with Journal(path):
        pass


def test_a_push_in_another_process_has_it_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    script = """
import sys
from aioecrpublic.push.journal_file import claim
claim(sys.argv[1])
print("claimed", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"claimed\n"
        with pytest.raises(PushError, match=f"^journal {path}: in use by another push$"):
            claim(str(path))
        process.kill()
    claim(str(path)).release(remove=True)


def test_a_journal_that_is_removed_between_finding_and_locking_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    first = claim(str(path))
    flock = fcntl.flock

    def remove_then_lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        first.release(remove=True)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    second = claim(str(path))
    assert path.exists()
    second.release(remove=False)


def test_a_file_that_took_the_place_of_a_journal_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    claimed = claim(str(path))
    path.unlink()
    path.write_bytes(b"precious")
    claimed.release(remove=True)
    assert path.read_bytes() == b"precious"


def test_a_full_disk_leaves_no_half_of_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    write = os.pwrite

    def fill_up(descriptor: int, data: bytes, offset: int) -> int:
        if offset:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:100], offset)

    monkeypatch.setattr(os, "pwrite", fill_up)
    with pytest.raises(ConfigurationError, match=r"No space left on device$"):
        claim(str(path))
    monkeypatch.undo()
    assert path.read_bytes() == b""
    claim(str(path)).release(remove=True)


@cache
def made_of(*statements: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        return database(Path(directory) / "made", "PRAGMA synchronous = OFF", *statements)


@st.composite
def foreign_files(draw: st.DrawFn) -> bytes:
    """Anything that is no journal, and much that looks like one."""
    content = draw(st.binary(min_size=1, max_size=300))
    if draw(st.booleans()):
        some = st.sampled_from([*NOTES[:1], *FIRST, OURS, "PRAGMA user_version = 9"])
        valid = made_of("CREATE TABLE z (x)", *sorted(draw(st.sets(some))))
        at = draw(st.integers(0, len(valid) - 1))
        content = draw(st.sampled_from([valid, valid[: at + 1], valid[:at] + content + valid[at:]]))
    return content


@pytest.mark.slow
@settings(max_examples=100_000 if SOAK else 1000, derandomize=not SOAK, deadline=None)
@given(
    content=foreign_files(),
    beside=st.dictionaries(st.sampled_from(["-wal", "-shm", "-journal"]), st.binary(max_size=100)),
)
def test_no_foreign_file_is_ever_changed(content: bytes, beside: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "journal"
        path.write_bytes(content)
        for suffix, data in beside.items():
            Path(f"{path}{suffix}").write_bytes(data)
        with unchanged(Path(name)), pytest.raises(ConfigurationError, match=f"^journal {path} "):
            claim(str(path))
