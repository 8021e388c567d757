"""The file of a journal: recognised before SQLite opens it, and locked against other pushes; blocks.

SQLite changes a database, and what lies beside it, as soon as it opens it: it replays or removes a ``-wal``
and a ``-journal``. So it is only let at a file of which a copy has proved to be a journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._common.fileio import open_regular, read_descriptor, read_regular
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.push.errors import PushError

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://www.sqlite.org/fileformat2.html: what a database, its log and its rollback journal begin with, and
# where an application's own mark stands.
_DATABASE: Final = b"SQLite format 3\0"
_BESIDE: Final[Mapping[str, tuple[bytes, ...]]] = {
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
    "-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",),
}
_MARK_AT: Final = slice(68, 72)
_MARK: Final = b"ECRp"
APPLICATION_ID: Final = int.from_bytes(_MARK)
"""What SQLite calls the mark that journals carry (``PRAGMA application_id``)."""
_SCHEMA: Final = """CREATE TABLE upload (
    endpoint TEXT NOT NULL,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed >= 0),
    PRIMARY KEY (endpoint, registry, repository, digest)
) WITHOUT ROWID"""
# A quarter of a million layers that are unfinished at once; what is larger is not read to find out.
_MAX_SIZE: Final = 64 * 1024 * 1024
# A push that ends removes its journal: found, and then gone, it is looked for again.
_ATTEMPTS: Final = 100


@attrs.frozen
class _Kind:
    """What tells databases apart."""

    application_id: int
    version: int
    schema: tuple[tuple[str, ...], ...]


_KIND: Final = _Kind(
    application_id=APPLICATION_ID,
    version=1,
    schema=(("table", "upload", "upload", _SCHEMA),),
)
# The first journals had no mark.
_KINDS: Final = (_KIND, attrs.evolve(_KIND, application_id=0))


@attrs.frozen
class JournalFile:
    """A journal's file, which nobody else uses until it is released.

    Attributes:
        path: Where it is, symbolic links followed.
    """

    path: str
    _descriptor: int

    def release(self, *, remove: bool) -> None:
        """Let others use the file, or remove it.

        Raises:
            OSError: It cannot be removed.
        """
        try:
            if remove and _is_at(self.path, self._descriptor):
                Path(self.path).unlink()
        finally:
            # Said aloud, for a child that this process has forked holds the lock too.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)


def claim(path: str) -> JournalFile:
    """Lock the journal at ``path``, which is made if there is nothing or an empty file.

    Nothing is changed where that fails.

    Raises:
        ConfigurationError: The path cannot be used, or leads to something else than a sound journal.
        PushError: Another push uses it.
    """
    try:
        real = os.path.realpath(path)
        for _ in range(_ATTEMPTS):
            file = _try_to_claim(real, path)
            if file is not None:
                return file
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"journal {path} cannot be used: {reason}") from error
    raise _in_use(path)


def _try_to_claim(path: str, shown: str) -> JournalFile | None:
    """The locked file, or ``None`` if it has been made or removed meanwhile."""
    try:
        descriptor = _open(path, shown)
    except FileExistsError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(shown) from error
        if _is_at(path, descriptor):
            _make_or_check(path, descriptor, shown)
            return JournalFile(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _in_use(shown: str) -> PushError:
    return PushError(f"journal {shown}: in use by another push")


def _open(path: str, shown: str) -> int:
    try:
        return open_regular(path, write=True)
    except FileNotFoundError:
        _require_nothing_beside(path, shown)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)


def _is_at(path: str, descriptor: int) -> bool:
    """Whether the open file is the one at ``path`` still."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(Path(path).lstat(), os.fstat(descriptor))
    return False


def _make_or_check(path: str, descriptor: int, shown: str) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        _require_nothing_beside(path, shown)
        _write_whole(descriptor, _empty_journal())
    else:
        _require_sound_journal(path, descriptor, size, shown)


def _require_nothing_beside(path: str, shown: str) -> None:
    """Refuse what SQLite would take for a new journal's, and remove or replay."""
    for suffix in _BESIDE:
        if os.path.lexists(f"{path}{suffix}"):
            raise _in_the_way(shown, suffix)


def _in_the_way(shown: str, suffix: str) -> ConfigurationError:
    return ConfigurationError(
        f"journal {shown} cannot be used: {shown}{suffix} is in its way; remove that or name another journal"
    )


def _write_whole(descriptor: int, content: bytes) -> None:
    """Write all or nothing.

    Raises:
        OSError: It cannot be written, for lack of room for example.
    """
    written = 0
    try:
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], written)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, 0)
        raise


def _require_sound_journal(path: str, descriptor: int, size: int, shown: str) -> None:
    foreign = ConfigurationError(
        f"journal {shown} is no journal of aioecrpublic and was left as it is; name another file"
    )
    if size > _MAX_SIZE:
        raise foreign
    content = read_descriptor(descriptor, _MAX_SIZE, path)
    if not content.startswith(_DATABASE):
        raise foreign
    beside = {suffix: _read_beside(path, suffix, shown) for suffix in _BESIDE}
    marked = content[_MARK_AT] == _MARK
    try:
        kind, problem = _inspect(content, beside)
    except sqlite3.DatabaseError as error:
        if marked:
            raise _damaged(shown, str(error)) from error
        raise foreign from error
    if kind not in _KINDS:
        if marked and kind.version != _KIND.version:
            raise ConfigurationError(
                f"journal {shown} is of version {kind.version}, which this aioecrpublic does not know; "
                "name another journal"
            )
        raise foreign
    if problem is not None:
        raise _damaged(shown, problem)


def _damaged(shown: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"journal {shown} is damaged ({problem}); remove it, and what is beside it as {shown}-wal, "
        "to push unfinished layers from their beginning"
    )


def _read_beside(path: str, suffix: str, shown: str) -> bytes:
    """What SQLite has left beside a database whose process died.

    Raises:
        ConfigurationError: It is none of SQLite's.
    """
    name = f"{path}{suffix}"
    try:
        status = os.lstat(name)
    except FileNotFoundError:
        return b""
    content = read_regular(name, _MAX_SIZE) if stat.S_ISREG(status.st_mode) else None
    if content is None or (content and not content.startswith(_BESIDE[suffix])):
        raise _in_the_way(shown, suffix)
    return content


def _inspect(content: bytes, beside: Mapping[str, bytes]) -> tuple[_Kind, str | None]:
    """What a database is, found out by a copy of it, and what is damaged in it, if anything.

    Raises:
        sqlite3.DatabaseError: It cannot be read.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal"
        path.write_bytes(content)
        for suffix, part in beside.items():
            if part:
                Path(f"{path}{suffix}").write_bytes(part)
        with closing(sqlite3.connect(path)) as database:
            (application_id,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            # The end of the text is kept as it was given, line break and all.
            schema = database.execute(
                "SELECT type, name, tbl_name, rtrim(sql, char(10)) FROM sqlite_master ORDER BY name"
            )
            kind = _Kind(application_id, version, tuple(schema.fetchall()))
            return kind, _damage(database) if kind in _KINDS else None


def _damage(database: sqlite3.Connection) -> str | None:
    try:
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if verdict == "ok" else verdict


def _empty_journal() -> bytes:
    """The bytes of a journal without a row; made elsewhere, so that none is ever half made in its place."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_KIND.version}")
            database.execute(f"PRAGMA application_id = {_KIND.application_id}")
        return path.read_bytes()
