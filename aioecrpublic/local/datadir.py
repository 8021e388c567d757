"""The directory that a registry keeps everything in: recognised, marked, locked.

A registry removes files: uploads that were given up, blobs that nothing refers to. So it only ever works in a
directory that carries its mark, and gives its mark only to a directory that is empty, or that holds the
database of a registry already. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sqlite3
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._common.fileio import FileTooLargeError, kind_of, read_regular
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.local.blobs import BLOBS, UPLOADS, has_files
from aioecrpublic.local.database import Database, LostDatabaseError, require_registry_database
from aioecrpublic.local.disk import RESERVE, Reserve, with_room

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE: Final = "registry.sqlite"
MARK: Final = "aioecrpublic-registry"
_LOCK: Final = "lock"
_NEW_MARK: Final = f"{MARK}.new"
_MARK_TEXT: Final = """\
This directory belongs to a local registry of aioecrpublic, which removes what it does not need from
blobs and uploads. Keep nothing else in them, and keep this file.
id: {}
"""
_MARK_LIMIT: Final = 4096
_ID: Final = re.compile(r"^id: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.MULTILINE)
# What the registry makes in its directory, and what each has to be.
_FILES: Final = (_LOCK, MARK, RESERVE, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
_DIRECTORIES: Final = (UPLOADS, BLOBS.parent, BLOBS)
_PREFIX: Final = re.compile(r"[0-9a-f]{2}")
_SHOWN: Final = 3


_LOST: Final = (
    "nothing in it was changed. Put its database back from a backup, or begin with a new directory and push "
    "again"
)


@attrs.frozen
class DataDirectory:
    """A directory that is this registry's own as long as it is locked.

    Attributes:
        path: The directory.
        store_id: What its mark says, which its database has to say as well; ``None`` if it has no mark yet.
        is_new: Whether nothing is stored in it, so that a database may be made.
    """

    path: Path
    store_id: str | None
    is_new: bool


def claim(path: Path, stack: contextlib.ExitStack) -> DataDirectory:
    """Lock a directory for this registry until ``stack`` is closed; make it if it is not there.

    Nothing is changed in a directory that is not a registry's, and nothing is made in it.

    Raises:
        ConfigurationError: It is not a registry's and not empty, another registry uses it, it is damaged, or
            it cannot be used.
    """
    try:
        _examine(path)
        # The key of the tokens is going to be in it.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _lock(path, stack)
        # Again, now that no other registry can change it.
        return _examine(path)
    except (OSError, ValueError) as error:
        raise _refused(path, _reason(error, path)) from error


def open_database(directory: DataDirectory, reserve: Reserve, *, durable: bool) -> Database:
    """Open or make the database of a directory that was claimed, and mark the directory if it has no mark.

    A directory that is new is marked first, so that a start which is interrupted in between can be repeated.

    Raises:
        ConfigurationError: The database is lost, damaged or another registry's, or cannot be used.
    """
    path, marked = directory.path, directory.store_id is not None
    there = (path / DATABASE).exists()
    store_id = directory.store_id or str(uuid.uuid4())

    def open_it() -> Database:
        return Database(path / DATABASE, durable=durable, store_id=store_id, create=directory.is_new)

    try:
        if not marked and not there:
            _mark(path, store_id)
        # A database needs room even to be opened.
        database = with_room(open_it, reserve.release)
    except OSError as error:
        hint = f"; {_LOST}" if isinstance(error, LostDatabaseError) else ""
        raise _refused(path, _reason(error, path) + hint) from error
    except sqlite3.Error as error:
        hint = "" if isinstance(error, sqlite3.OperationalError) else f"; {_LOST}"
        raise _refused(path, f"{DATABASE}: {error}{hint}") from error
    if marked and database.store_id != store_id:
        database.close()
        raise _refused(path, f"its database {DATABASE} is another registry's; {_LOST}")
    if not marked and there:
        _mark(path, database.store_id)
    return database


def _examine(path: Path) -> DataDirectory:
    """Return what a directory is to a registry, which may not be there yet; change nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return DataDirectory(path, None, is_new=True)
    if not stat.S_ISDIR(mode):
        raise _refused(path, f"must be a directory (got {kind_of(mode)})")
    names = {entry.name for entry in path.iterdir()}
    if MARK not in names and (reason := _not_a_registry(path, names)):
        raise _refused(
            path,
            f"must be empty or a registry's own ({reason}); nothing in it was changed. "
            "Choose another directory, such as a new one below it",
        )
    for wrong, wanted in _misshapen(path):
        kind = kind_of(wrong.lstat().st_mode)
        raise _refused(path, f"{wrong.relative_to(path)} must be {wanted} (got {kind})")
    store_id = _read_mark(path) if MARK in names else None
    is_new = not has_files(path)
    if DATABASE not in names and not is_new:
        raise _refused(path, f"its database {DATABASE} is missing, but there are blobs in it; {_LOST}")
    return DataDirectory(path, store_id, is_new)


def _not_a_registry(path: Path, names: set[str]) -> str | None:
    """Return why a directory without a mark is neither empty nor that of a registry of before marks."""
    if not names - {_LOCK, _NEW_MARK}:
        return None
    if DATABASE not in names or not _is(path / DATABASE, stat.S_IFREG):
        return f"it has {_some(names)}, and no file {MARK}"
    try:
        require_registry_database(path / DATABASE)
    except (OSError, sqlite3.Error) as error:
        return f"its {DATABASE}: {error}"
    return None


def _misshapen(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is in a registry's place and not of its kind, such as a link to elsewhere, and its kind."""
    for name in _FILES:
        if not _is(path / name, stat.S_IFREG):
            yield path / name, "a regular file"
    for below in _DIRECTORIES:
        if not _is(path / below, stat.S_IFDIR):
            yield path / below, "a directory"
    with contextlib.suppress(FileNotFoundError):
        for prefix in (path / BLOBS).iterdir():
            if _PREFIX.fullmatch(prefix.name) and not _is(prefix, stat.S_IFDIR):
                yield prefix, "a directory"


def _is(path: Path, kind: int) -> bool:
    """Say whether a path is of a kind by itself, not by what it links to, or is not there."""
    try:
        return stat.S_IFMT(path.lstat().st_mode) == kind
    except (FileNotFoundError, NotADirectoryError):
        return True


def _mark(path: Path, store_id: str) -> None:
    """Write the mark, at once and for good."""
    new = path / _NEW_MARK
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(_MARK_TEXT.format(store_id))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path / MARK)


def _read_mark(path: Path) -> str:
    try:
        match = _ID.search(read_regular(path / MARK, _MARK_LIMIT).decode(errors="replace"))
    except FileTooLargeError:
        match = None
    if match is None:
        raise _refused(path, f"{MARK} is not a valid mark of a registry; {_LOST}")
    return match[1]


def _lock(path: Path, stack: contextlib.ExitStack) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path / _LOCK, flags, 0o600)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        raise _refused(path, "it is used by another registry") from None


def _reason(error: OSError | ValueError, path: Path) -> str:
    """Return why something failed, with the file if it is not the directory itself."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = error.filename or path
    return error.strerror if Path(where) == path else f"{error.strerror} ({where})"


def _some(names: set[str]) -> str:
    shown = [repr(name) for name in sorted(names)[:_SHOWN]]
    return ", ".join(shown) + (" and more" if len(names) > _SHOWN else "")


def _refused(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(f"data_dir {path}: {reason}")
