"""The disk and its end: room that is kept for deletions, and what a full disk is answered with.

A database needs room to delete something. So the registry keeps a file that it can do without, and gives its
room up when a deletion fails for want of it. Until that room is back, what would take more is refused.
Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from aioecrpublic.local.database import Database

    _T = TypeVar("_T")

RESERVE: Final = "reserve"
NO_SPACE: Final = "There is no space left on the registry's disk."
_SMALLEST: Final = 256 * 1024
_LARGEST: Final = 64 * 1024 * 1024
_SLICE: Final = 1024 * 1024
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
# The low byte of SQLite's extended codes is the code itself: https://www.sqlite.org/rescode.html
_PRIMARY_CODE: Final = 0xFF


class NoSpaceError(Exception):
    """There is no room on the disk for what was asked for."""


class Reserve:
    """Room for deletions: a little more than the database has, which is what it writes to delete all of it.

    Args:
        directory: Where to keep it.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / RESERVE
        self._lock = threading.Lock()
        self._held = False

    @property
    def is_held(self) -> bool:
        """Whether there was as much room as was wanted, when it was taken last."""
        return self._held

    def hold(self, database: Database) -> bool:
        """Take as much room as is to be kept, unless it is held; return whether it is held now."""
        with self._lock:
            wanted = min(_SMALLEST + database.size(), _LARGEST)
            try:
                self._grow(wanted)
            except OSError as error:
                if not is_no_space(error):
                    raise
                self._held = False
            else:
                self._held = True
            return self._held

    def release(self) -> None:
        """Give the room up."""
        with self._lock:
            self._held = False
            self._path.unlink(missing_ok=True)

    def _grow(self, wanted: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            while (missing := wanted - os.fstat(descriptor).st_size) > 0:
                # Random bytes, so that a file system which compresses sets room aside for them.
                os.write(descriptor, os.urandom(min(missing, _SLICE)))
        finally:
            os.close(descriptor)


def with_room(work: Callable[[], _T], make_room: Callable[[], None]) -> _T:
    """Return what ``work`` returns; if it fails for want of room, make some and do it again."""
    try:
        return work()
    except (OSError, sqlite3.Error) as error:
        if not may_be_no_space(error):
            raise
    make_room()
    return work()


class Disk:
    """What is done about a disk that may be full.

    Args:
        database: The registry's.
        reserve: What is kept for deletions.
    """

    def __init__(self, database: Database, reserve: Reserve) -> None:
        self._database = database
        self._reserve = reserve

    @property
    def has_room(self) -> bool:
        """Whether there was room to begin what takes some; if not, ``require_room`` looks again."""
        return self._reserve.is_held

    def require_room(self) -> None:
        """Refuse to begin what takes room on a disk that has none for deletions.

        Raises:
            NoSpaceError: There is none.
        """
        if not self.has_room and not self.reserve_room():
            raise NoSpaceError

    def reserve_room(self) -> bool:
        """Set room aside for deletions, as much as they need by now; return whether there is enough."""
        return self._reserve.hold(self._database)

    def free(self, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns, which deletes something, even on a full disk."""
        return with_room(work, self._make_room)

    def _make_room(self) -> None:
        self._reserve.release()
        # Its log is put where it belongs and cut off; if that fails there may be enough room all the same.
        with contextlib.suppress(sqlite3.Error):
            self._database.shrink_log()


def is_no_space(error: BaseException) -> bool:
    """Say whether an error means that the disk, or what may be used of it, is full."""
    if isinstance(error, sqlite3.Error):
        return _code(error) == sqlite3.SQLITE_FULL
    return isinstance(error, NoSpaceError) or (isinstance(error, OSError) and error.errno in _NO_SPACE)


def may_be_no_space(error: BaseException) -> bool:
    """Say whether an error can come of a full disk: to SQLite an exhausted quota is any failure to write."""
    return is_no_space(error) or (isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_IOERR)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
