"""What the registry remembers beside the bytes of its layers: one SQLite database."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Generator

    _Tables: TypeAlias = list[tuple[str, str, str]]

_VERSION = 2
# "aecr", which no application in SQLite's list (magic.txt of its sources) has.
_APPLICATION_ID: Final = 0x61656372
# Databases of before carry no application id.
_APPLICATION_IDS: Final = frozenset({0, _APPLICATION_ID})
_STORE_ID: Final = "store_id"
_SCHEMA = """
CREATE TABLE repository (
    name TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    policy TEXT,
    catalog TEXT
) WITHOUT ROWID;
CREATE TABLE resource_tag (
    repository TEXT NOT NULL REFERENCES repository ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (repository, key)
) WITHOUT ROWID;
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL REFERENCES repository ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('api', 'v2')),
    received INTEGER NOT NULL DEFAULT 0,
    parts INTEGER NOT NULL DEFAULT 0,
    smallest_part INTEGER,
    last_part INTEGER,
    touched_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE layer (
    repository TEXT NOT NULL REFERENCES repository ON DELETE CASCADE,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    touched_at REAL NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX layer_by_digest ON layer (digest);
CREATE TABLE image (
    repository TEXT NOT NULL REFERENCES repository ON DELETE CASCADE,
    digest TEXT NOT NULL,
    manifest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_media_type TEXT,
    subject TEXT,
    size INTEGER NOT NULL,
    pushed_at REAL NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX image_by_subject ON image (repository, subject);
CREATE TABLE reference (
    repository TEXT NOT NULL,
    image TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('layer', 'image')),
    PRIMARY KEY (repository, image, digest, kind),
    FOREIGN KEY (repository, image) REFERENCES image ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX reference_by_digest ON reference (repository, digest);
CREATE TABLE tag (
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (repository, name),
    FOREIGN KEY (repository, digest) REFERENCES image ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX tag_by_digest ON tag (repository, digest);
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""


class LostDatabaseError(OSError):
    """A database with nothing in it, not even tables, where one was before."""


class Database:
    """One connection, used by one thread at a time; every use is a transaction.

    Args:
        path: The database's file.
        durable: Whether what was committed has to survive a power cut; else only the death of the process.
        store_id: The id of a database that has none yet; made up if it is ``None``.
        create: Whether the tables may be made, if there are none.

    Attributes:
        store_id: What tells this database from those of other registries.

    Raises:
        sqlite3.Error: The file is no database, is damaged, or cannot be opened.
        LostDatabaseError: It is empty, and ``create`` is false.
        OSError: It is one of another version or of another application.
    """

    def __init__(
        self, path: Path, *, durable: bool, store_id: str | None = None, create: bool = True
    ) -> None:
        self._path = path
        self._durable = durable
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        try:
            # Before anything is changed in it.
            is_blank = _is_blank(self._connection)
            if not is_blank or not create:
                _require_registry(self._connection)
            self._configure(self._connection)
            if is_blank:
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
            _require_whole(self._connection)
            self.store_id: str = self._sign(store_id or str(uuid.uuid4()))
        except BaseException:
            self.close()
            raise

    def _configure(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {'FULL' if self._durable else 'OFF'}",
            "foreign_keys = ON",
            # Not on a disk that may be full.
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def _reconnect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _sign(self, store_id: str) -> str:
        """Give the database its id and the application's, unless it has them; return its id."""
        with self.transaction() as cursor:
            if cursor.value("PRAGMA application_id") != _APPLICATION_ID:
                cursor.run(f"PRAGMA application_id = {_APPLICATION_ID}")
            cursor.run("INSERT OR IGNORE INTO setting VALUES (?, ?)", _STORE_ID, store_id)
            found: str = cursor.value("SELECT value FROM setting WHERE name = ?", _STORE_ID)
        return found

    @contextmanager
    def transaction(self) -> Generator[Cursor, None, None]:
        """A transaction: committed at the end, rolled back if anything is raised in it."""
        with self._lock:
            if self._connection is None:
                self._connection = self._reconnect()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Cursor(connection)
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            # A commit that fails may have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            # It could not begin another transaction: the next one gets a new connection.
            self._connection = None
            connection.close()

    def size(self) -> int:
        """Return how many bytes the database has on the disk, without its log."""
        return self._path.stat().st_size

    def shrink_log(self) -> None:
        """Bring the log into the database and cut it off.

        Raises:
            sqlite3.Error: There is no room for that, or the disk fails.
        """
        with self._lock:
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; waits for a transaction that is running."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()


class Cursor:
    """Statements within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str, *values: object) -> int:
        """Execute a statement; how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row, if there is one."""
        row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return row

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows."""
        return self._connection.execute(statement, values).fetchall()

    def value(self, statement: str, *values: object) -> Any:
        """The first column of the first row, or ``None``."""
        row = self.row(statement, *values)
        return None if row is None else row[0]


def require_registry_database(path: Path) -> None:
    """Refuse a file that is not the database of a registry; neither it nor anything beside it is changed.

    To open a database can be to change it: what its log has is brought into it, for instance. So it is opened
    as one on a medium that cannot be written; or a copy is, if there is a log, without which the file may be
    half a database.

    Raises:
        sqlite3.Error: It is no database.
        OSError: It is empty, one of another version or of another application, or cannot be read.
    """
    log = Path(f"{path}-wal")
    with tempfile.TemporaryDirectory(prefix="aioecrpublic-local-") as scratch:
        uri = f"file:{quote_from_bytes(bytes(path.absolute()))}?mode=ro&immutable=1"
        if log.exists():
            copy = Path(scratch) / "copy"
            shutil.copyfile(path, copy)
            shutil.copyfile(log, f"{copy}-wal")
            uri = f"file:{copy}"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            _require_registry(connection)


def _require_whole(connection: sqlite3.Connection) -> None:
    """Refuse a damaged database: files are removed by what it says."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"the registry's database is damaged: {found}")


def _is_blank(connection: sqlite3.Connection) -> bool:
    return not _pragma(connection, "user_version") and not _tables(connection)


def _require_registry(connection: sqlite3.Connection) -> None:
    """Refuse a database that is not a registry's by its application id, its version and all of its tables."""
    if _is_blank(connection):
        raise LostDatabaseError("the registry's database is empty")
    version = _pragma(connection, "user_version")
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        expected = _tables(model)
    if _pragma(connection, "application_id") not in _APPLICATION_IDS or (
        version == _VERSION and _tables(connection) != expected
    ):
        raise OSError("it is not a registry's database")
    if version != _VERSION:
        raise OSError(f"the registry's database has version {version}, not {_VERSION}")


def _tables(connection: sqlite3.Connection) -> _Tables:
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name"
    )
    return [tuple(row) for row in rows]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
