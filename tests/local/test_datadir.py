"""Whose a directory is: only a registry's own, or an empty one, is ever written to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sqlite3
import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aioecrpublic import ConfigurationError
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local import database as database_module
from aioecrpublic.local.datadir import MARK, claim, open_database
from aioecrpublic.local.disk import Reserve
from tests.local.rules.helpers import boto, push_small_image, running
from tests.support.oci import digest_of
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable

DATABASE = "registry.sqlite"
LAYER = b"layer"
MANY = settings(max_examples=10_000 if SOAK else 100, deadline=None)


def snapshot(directory: Path) -> dict[str, object]:
    """Everything below a directory: kinds, contents, inodes, times."""

    def look(path: Path) -> object:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        return status.st_mode, status.st_ino, status.st_mtime_ns, content

    return {str(path.relative_to(directory)): look(path) for path in [directory, *directory.rglob("*")]}


def take(directory: Path) -> None:
    """Claim a directory and open its database, as a registry does at its start."""
    with contextlib.ExitStack() as stack:
        open_database(claim(directory, stack), Reserve(directory), durable=False).close()


def refused_untouched(directory: Path, says: str) -> None:
    """A registry refuses the directory with its path, and leaves it as it was."""
    before = snapshot(directory)
    with pytest.raises(ConfigurationError, match=says) as caught:
        take(directory)
    assert str(caught.value).startswith(f"data_dir {directory}: ")
    assert snapshot(directory) == before


def digest_path(data: bytes) -> str:
    name = digest_of(data).removeprefix("sha256:")
    return f"blobs/sha256/{name[:2]}/{name}"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A registry's directory with an image in it."""
    with running(data_dir=tmp_path / "data") as server, closing(boto(server)) as client:
        client.create_repository(repositoryName="team/app")
        push_small_image(client, "team/app", "1.0")
        client.initiate_layer_upload(repositoryName="team/app")
    assert (tmp_path / "data" / digest_path(LAYER)).exists()
    return tmp_path / "data"


def as_before_marks(directory: Path) -> None:
    """Make a registry's directory what it was before directories were marked."""
    (directory / MARK).unlink()
    with closing(sqlite3.connect(directory / DATABASE)) as connection:
        connection.execute("DELETE FROM setting WHERE name = 'store_id'")
        connection.execute("PRAGMA application_id = 0")
        connection.commit()


def tags(directory: Path) -> list[str]:
    """The tags that a registry on the directory has."""
    with running(data_dir=directory) as server, closing(boto(server)) as client:
        (detail,) = client.describe_images(repositoryName="team/app")["imageDetails"]
        found: list[str] = detail["imageTags"]
        return found


def test_an_empty_directory_is_taken_and_marked(tmp_path: Path) -> None:
    for directory in (tmp_path / "new" / "below", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        take(directory)
        assert "belongs to a local registry of aioecrpublic" in (directory / MARK).read_text()
        with closing(sqlite3.connect(directory / DATABASE)) as connection:
            assert connection.execute("PRAGMA application_id").fetchone() != (0,)
        take(directory)


def make_hashed(directory: Path) -> None:
    for name in (f"uploads/{uuid.uuid4()}", digest_path(b"mine")):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(b"mine")


def make_database(directory: Path, *, journal: str = "DELETE", version: int = 2) -> None:
    with closing(sqlite3.connect(directory / DATABASE)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE repository (name TEXT)")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


def make_logged_database(directory: Path) -> None:
    """A database whose application died: all of it is in its log still."""
    with closing(sqlite3.connect(directory / "live")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE repository (name TEXT)")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copyfile(directory / f"live{suffix}", directory / f"{DATABASE}{suffix}")
    (directory / "live").unlink()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a note": lambda path: (path / "notes.txt").write_text("mine"),
    "a hidden file": lambda path: (path / ".env").write_text("SECRET=1"),
    "an empty directory": lambda path: (path / "blobs").mkdir(),
    "names as a registry's": make_hashed,
    "an empty database": lambda path: (path / DATABASE).write_bytes(b""),
    "no database": lambda path: (path / DATABASE).write_bytes(b"mine" * 1000),
    "a database": make_database,
    "a database of the registry's version": lambda path: make_database(path, version=2),
    "a database with a log": make_logged_database,
    "a database in WAL mode": lambda path: make_database(path, journal="WAL"),
    "a link to a database": lambda path: (path / DATABASE).symlink_to(path.parent / "elsewhere"),
    "a FIFO for a database": lambda path: os.mkfifo(path / DATABASE),
    "a lock and more": lambda path: [(path / name).write_bytes(b"") for name in ("lock", "Makefile")],
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_directory_of_somebody_elses_is_refused_and_untouched(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir()
    make(directory)
    refused_untouched(directory, "must be empty or a registry's own")
    # Nor is it a matter of the first time.
    refused_untouched(directory, "nothing in it was changed")


NAMES = st.sampled_from([
    "lock",
    "blobs",
    "blobs/sha256",
    "uploads",
    "notes.txt",
    DATABASE,
    f"{DATABASE}-wal",
    digest_path(b"mine"),
    "uploads/01234567-89ab-cdef-0123-456789abcdef",
    f"{MARK}.old",
    "über/..ö",
])  # fmt: skip


@pytest.mark.slow
@MANY
@given(files=st.dictionaries(NAMES, st.binary(max_size=9), max_size=5))
@example(files={"lock": b"1"})
def test_whatever_is_in_a_directory_it_is_taken_whole_or_left_alone(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        for name, content in files.items():
            with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_bytes(content)
        before = snapshot(directory)
        try:
            take(directory)
        except ConfigurationError:
            assert snapshot(directory) == before
        else:
            # Their lock, if they have one, is only locked.
            assert before.keys() <= {".", "lock"}
            assert all(snapshot(directory)[name] == before[name] for name in before if name != ".")


def test_a_directory_from_before_marks_is_known_by_its_database_and_marked(own: Path) -> None:
    as_before_marks(own)
    assert tags(own) == ["1.0"]
    assert (own / MARK).exists()
    assert tags(own) == ["1.0"]


def test_a_directory_from_before_marks_whose_registry_was_killed(own: Path, tmp_path: Path) -> None:
    """All that it has may be in the log of its database."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(tmp_path / "live")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(database_module._SCHEMA)
        connection.execute("PRAGMA user_version = 2")
        connection.execute("INSERT INTO repository (name, created_at) VALUES ('team/app', 1)")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copyfile(tmp_path / f"live{suffix}", killed / f"{DATABASE}{suffix}")
    (killed / "lock").touch()
    with running(data_dir=killed) as server, closing(boto(server)) as client:
        (found,) = client.describe_repositories()["repositories"]
    assert found["repositoryName"] == "team/app"


def test_a_start_that_was_interrupted_can_be_repeated(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        claim(tmp_path, stack)
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}
    (tmp_path / f"{MARK}.new").write_text("This dir")
    take(tmp_path)
    # Marked, and killed before there was a database.
    (tmp_path / DATABASE).unlink()
    take(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"")
    take(tmp_path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3 + 8)
        file.write(b"\xff" * 4000)


def replace(path: Path) -> None:
    path.unlink()
    make_database(path.parent)


def replace_by_anothers(path: Path) -> None:
    other = path.parent.parent / "other"
    take(other)
    shutil.copyfile(other / DATABASE, path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose, "its database registry.sqlite is missing, but there are blobs in it; nothing"),
        (empty, "the registry's database is empty; nothing"),
        (cut, "malformed|damaged"),
        (scribble, "malformed|damaged"),
        (replace, "not a registry's database"),
        (replace_by_anothers, "is another registry's; nothing"),
        (lambda path: path.write_bytes(b"x" * 5000), "not a database; nothing"),
    ],
)
def test_a_registry_whose_database_is_lost_keeps_its_blobs(
    own: Path, damage: Callable[[Path], None], says: str
) -> None:
    backup = (own / DATABASE).read_bytes()
    damage(own / DATABASE)
    files = {path for path in own.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match=says) as caught, running(data_dir=own):
        pytest.fail("a registry without its database")
    assert str(own) in str(caught.value)
    assert files <= {path for path in own.rglob("*") if path.is_file()}
    (own / DATABASE).write_bytes(backup)
    assert tags(own) == ["1.0"]


@pytest.mark.parametrize("text", ["", "mine\n", "id: 1\n", "x" * 5000])
def test_a_mark_that_says_nothing_is_refused(own: Path, text: str) -> None:
    (own / MARK).write_text(text)
    refused_untouched(own, MARK)


def linked(directory: Path, name: str, target: Path) -> None:
    """Put a link to somebody else's files where a registry has its own."""
    path = directory / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    "name",
    ["blobs", "blobs/sha256", "uploads", digest_path(LAYER).rpartition("/")[0], "lock", DATABASE, MARK],
)
def test_links_in_a_registrys_directory_lead_nowhere(own: Path, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "theirs"
    make_hashed(theirs)
    linked(own, name, theirs if "." not in name and name not in {"lock", MARK} else theirs / "file")
    before = snapshot(theirs)
    refused_untouched(own, rf"{name} must be a .* \(got a symbolic link\)")
    assert snapshot(theirs) == before


def test_a_link_for_a_blob_is_neither_served_nor_removed(own: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    blob, unnamed = own / digest_path(LAYER), own / digest_path(b"secret")
    upload = own / "uploads" / str(uuid.uuid4())
    unnamed.parent.mkdir(exist_ok=True)
    blob.unlink()
    for path in (blob, unnamed, upload):
        path.symlink_to(tmp_path / "secret")
    with running(data_dir=own) as server:
        reading = server.read_blob(digest_of(LAYER))
        with pytest.raises(OSError, match="symbolic links"):
            _run(reading)
    assert all(path.is_symlink() for path in (blob, unnamed, upload))
    assert (tmp_path / "secret").read_text() == "secret"


def _run(coroutine: object) -> None:
    import asyncio

    asyncio.run(coroutine)  # type: ignore[arg-type]


def test_files_of_others_in_a_registrys_directory_stay(own: Path) -> None:
    name = hashlib.sha256(b"mine").hexdigest()
    others = [
        "notes.txt",
        "uploads/notes.txt",
        "blobs/notes.txt",
        f"blobs/sha256/zz/{name}",
        f"blobs/sha256/{name}",
    ]
    for other in others:
        (own / other).parent.mkdir(exist_ok=True)
        (own / other).write_text("mine")
    assert tags(own) == ["1.0"]
    assert {(own / other).read_text() for other in others} == {"mine"}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("mine"), r"must be a directory \(got a regular file\)"),
        (fifo, r"must be a directory \(got a FIFO\)"),
        (unix_socket, r"must be a directory \(got a socket\)"),
        (lambda path: path.symlink_to("/dev/zero"), r"must be a directory \(got a character device\)"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "exists"),
    ],
)
def test_what_is_no_directory_is_refused(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path / "data")
    before = snapshot(tmp_path)
    with pytest.raises(ConfigurationError, match=f"data_dir {tmp_path / 'data'}: .*{says}"):
        take(tmp_path / "data")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 300, "\udce9\0"])
async def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="data_dir"):
        async with LocalECRPublic(data_dir=path):
            pytest.fail("a registry nowhere")


def test_a_name_of_any_bytes_is_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "100% \udce9 #?&"
    for _ in range(2):
        take(directory)


def test_a_file_system_that_cannot_be_written(mounted: Callable[..., Path]) -> None:
    read_only = mounted("size=1m,ro")
    with pytest.raises(ConfigurationError, match="Read-only file system"):
        take(read_only)
    with pytest.raises(ConfigurationError, match="Read-only file system"):
        take(read_only / "new")


def test_a_file_system_without_room(mounted: Callable[..., Path]) -> None:
    full = mounted("size=64k")
    with pytest.raises(ConfigurationError, match=r"full|No space left"):
        take(full / "data")
