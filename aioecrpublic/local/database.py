"""What the registry remembers beside the bytes of its layers: one SQLite database."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_VERSION = 2
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


class Database:
    """One connection, used by one thread at a time; every use is a transaction.

    Args:
        path: The database's file.
        durable: Whether what was committed has to survive a power cut; else only the death of the process.

    Raises:
        sqlite3.Error: The file is no database, or cannot be opened.
        OSError: It is one of another version.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._create(durable=durable)
        except BaseException:
            self._connection.close()
            raise

    def _create(self, *, durable: bool) -> None:
        self._connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {'FULL' if durable else 'OFF'}",
            "foreign_keys = ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
        elif version != _VERSION:
            raise OSError(f"the registry's database has version {version}, not {_VERSION}")

    @contextmanager
    def transaction(self) -> Generator[Cursor, None, None]:
        """A transaction: committed at the end, rolled back if anything is raised in it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Cursor(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                # A commit that fails may have rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; waits for a transaction that is running."""
        with self._lock:
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
