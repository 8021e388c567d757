"""What an interrupted push remembers: which uploads it began and how many bytes of each are confirmed.

One SQLite file, written by one thread. It survives the death of the process at any moment; what the service
confirmed last may be missing from it, which costs a question and not a part.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import attrs

from aioecrpublic.push.errors import PushError
from aioecrpublic.push.events import JournalDamaged

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from aioecrpublic.push.destination import Destination

_log = logging.getLogger("aioecrpublic.push")
_T = TypeVar("_T")
_VERSION = 1
_SCHEMA = """
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
        path: The file; it is made if it is not there, and removed when nothing is left in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aioecrpublic-journal")
        self._database: sqlite3.Connection | None = None
        self.damaged: JournalDamaged | None = None

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
        closing = asyncio.ensure_future(self._run(self._close))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            # The next push may want the file at once, so not even now is it left half closed.
            await asyncio.wait([closing])
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
            raise PushError(f"journal {self._path}: {error}") from error

    def _open(self) -> None:
        try:
            self._database = self._connect()
        except sqlite3.OperationalError as error:
            raise PushError(f"journal {self._path}: {_explain(error)}") from error
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            self._database = self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        try:
            # Exclusive: two pushes that continue the same upload would only hinder each other.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            self._check(database)
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (verdict,) = database.execute("PRAGMA quick_check").fetchone()
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if version != _VERSION and (version or tables):
            raise sqlite3.DatabaseError(f"version {version} is not a journal's")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        moved_to = _free_name(self._path)
        self._path.rename(moved_to)
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        _log.warning("journal %s is damaged (%s); moved to %s", self._path, error, moved_to)
        self.damaged = JournalDamaged(path=str(self._path), moved_to=str(moved_to))

    def _close(self) -> None:
        if self._database is None:
            return
        (rows,) = self._database.execute("SELECT count(*) FROM upload").fetchone()
        self._database.close()
        self._database = None
        if not rows:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

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


def _key(destination: Destination, digest: str) -> tuple[str, str, str, str]:
    return (
        destination.client.endpoint_url,
        destination.registry_id or "",
        destination.repository_name,
        digest,
    )


def _free_name(path: Path) -> Path:
    number = 1
    while (candidate := Path(f"{path}.damaged-{number}")).exists():
        number += 1
    return candidate


def _explain(error: sqlite3.OperationalError) -> str:
    if error.sqlite_errorname in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return "in use by another push"
    return str(error)
