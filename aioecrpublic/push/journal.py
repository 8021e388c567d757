"""What an interrupted push remembers: which uploads it began and how many bytes of each are confirmed.

One SQLite file, written by one thread. It survives the death of the process at any moment; what the service
confirmed last may be missing from it, which costs a question and not a part.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Self, TypeVar

import attrs

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.journal_file import APPLICATION_ID, claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.push.destination import Destination
    from aioecrpublic.push.journal_file import JournalFile

_T = TypeVar("_T")


@attrs.frozen
class Left:
    """An upload that was left unfinished.

    Attributes:
        upload_id: The service's id of it.
        confirmed: Bytes that the service had confirmed.
    """

    upload_id: str
    confirmed: int


class Journal:
    """The journal in the file ``path``; an async context manager.

    Rows belong to an endpoint, a registry, a repository and a layer: those of other pushes are left alone.

    Args:
        path: The file; it is made if it is not there, and removed when nothing is left in it. A file that is
            neither empty nor a journal is refused when the journal is opened, and never changed.

    Raises:
        ConfigurationError: ``path`` is no path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._path = os.fsdecode(path)
        except TypeError as error:
            raise ConfigurationError(f"journal must be a path (got {type(path).__name__})") from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aioecrpublic-journal")
        self._file: JournalFile | None = None
        self._database: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the file, and remove it if nothing is left in it."""
        ending = asyncio.ensure_future(self._run(self._close))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            # The next push may want the file at once, so not even now is it left half closed.
            await asyncio.wait([ending])
            raise
        finally:
            self._thread.shutdown(wait=False)

    async def find(self, destination: Destination, digest: str) -> Left | None:
        """The unfinished upload of a layer, if there is one."""
        return await self._run(self._find, *_key(destination, digest))

    async def confirm(self, destination: Destination, digest: str, upload_id: str, confirmed: int) -> None:
        """Remember that the service has ``confirmed`` bytes."""
        await self._run(self._confirm, *_key(destination, digest), upload_id, confirmed)

    async def forget(self, destination: Destination, digest: str) -> None:
        """Forget a layer: it is done, or has to begin again."""
        await self._run(self._forget, *_key(destination, digest))

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except sqlite3.Error as error:
            raise PushError(f"journal {self._path}: {_explain(error)}") from error
        except OSError as error:
            raise PushError(f"journal {self._path}: {error.strerror}") from error

    def _open(self) -> None:
        self._file = claim(self._path)
        try:
            self._database = _connect(self._file.path)
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise
            raise ConfigurationError(f"journal {self._path} cannot be used: {error}") from error

    def _close(self) -> None:
        done = False
        try:
            if self._database is not None:
                with closing(self._database):
                    (rows,) = self._database.execute("SELECT count(*) FROM upload").fetchone()
                done = not rows
        finally:
            if self._file is not None:
                self._file.release(remove=done)
            self._database = self._file = None

    def _find(self, *key: str) -> Left | None:
        row = self._opened.execute(
            "SELECT upload_id, confirmed FROM upload"
            " WHERE endpoint = ? AND registry = ? AND repository = ? AND digest = ?",
            key,
        ).fetchone()
        return Left(*row) if row else None

    def _confirm(self, *row: object) -> None:
        self._opened.execute("INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?, ?, ?)", row)

    def _forget(self, *key: str) -> None:
        self._opened.execute(
            "DELETE FROM upload WHERE endpoint = ? AND registry = ? AND repository = ? AND digest = ?", key
        )

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise PushError(f"journal {self._path} is not open")
        return self._database


def _connect(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        # Exclusive: then the log of changes needs no shared memory, which would be another file.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        # It is there already except in the first journals; writing it also shows that it can be written.
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        database.close()
        raise
    return database


def _key(destination: Destination, digest: str) -> tuple[str, str, str, str]:
    return (
        destination.client.endpoint_url,
        destination.registry_id or "",
        destination.repository_name,
        digest,
    )


def _explain(error: sqlite3.Error) -> str:
    return "in use by another push" if _is_locked(error) else str(error)


def _is_locked(error: sqlite3.Error) -> bool:
    return error.sqlite_errorname in {"SQLITE_BUSY", "SQLITE_LOCKED"}
