"""Transactions, and what a file must be to be the registry's database."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aioecrpublic.local.database import Cursor

ADD = "INSERT INTO repository (name, created_at) VALUES (?, ?)"
TAG = "INSERT INTO resource_tag VALUES (?, 'key', 'value')"
NAMES = "SELECT name FROM repository ORDER BY name"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(path, durable=False)) as opened:
        yield opened


def names(database: Database) -> list[str]:
    with database.transaction() as cursor:
        return [row["name"] for row in cursor.rows(NAMES)]


def add(database: Database, *added: str, error: BaseException | None = None) -> None:
    with database.transaction() as cursor:
        for name in added:
            cursor.run(ADD, name, 1.5)
        if error is not None:
            raise error


def run(database: Database, *statements: str) -> None:
    with database.transaction() as cursor:
        for statement in statements:
            cursor.run(statement)


def test_what_is_committed_is_there_when_it_is_opened_again(path: Path) -> None:
    for durable in (True, False):
        with closing(Database(path, durable=durable)) as database:
            add(database, f"durable-{durable}".lower())
    with closing(Database(path, durable=True)) as database:
        assert names(database) == ["durable-false", "durable-true"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_nothing(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error, match="in the middle"):
        add(database, "a", error=error("in the middle"))
    assert names(database) == []
    add(database, "b")
    assert names(database) == ["b"]


def test_a_commit_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        run(
            database,
            "PRAGMA defer_foreign_keys = ON",
            "INSERT INTO resource_tag VALUES ('nowhere', 'k', 'v')",
        )
    add(database, "b")
    assert names(database) == ["b"]


def test_an_error_that_has_rolled_back_already_is_the_one_that_is_told(database: Database) -> None:
    add(database, "a")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        run(database, "INSERT OR ROLLBACK INTO repository (name, created_at) VALUES ('a', 1)")
    assert names(database) == ["a"]


def test_a_cursor_counts_and_finds(database: Database) -> None:
    with database.transaction() as cursor:
        assert [cursor.run(ADD, name, 1.5) for name in "ab"] == [1, 1]
        assert cursor.run("UPDATE repository SET policy = ?", "p") == 2
        assert cursor.run("DELETE FROM repository WHERE name = ?", "c") == 0
        row = cursor.row(f"{NAMES} DESC")
        assert row is not None
        assert row["name"] == "b"
        assert cursor.row("SELECT * FROM repository WHERE name = ?", "c") is None
        assert [
            tuple(row) for row in cursor.rows("SELECT name, policy FROM repository WHERE name < ?", "b")
        ] == [("a", "p")]
        assert cursor.value("SELECT policy, name FROM repository WHERE name = ?", "a") == "p"
        assert cursor.value("SELECT name FROM repository WHERE name = ?", "c") is None


def test_what_belongs_to_a_repository_goes_with_it(database: Database) -> None:
    add(database, "a")
    with database.transaction() as cursor:
        cursor.run(TAG, "a")
        cursor.run("DELETE FROM repository")
        assert cursor.rows("SELECT * FROM resource_tag") == []
        with pytest.raises(sqlite3.IntegrityError):
            cursor.run(TAG, "a")


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_only_what_has_to_be_durable_waits_for_the_disk(path: Path, durable: bool, synchronous: int) -> None:  # noqa: FBT001 - cases
    with closing(Database(path, durable=durable)) as database, database.transaction() as cursor:
        assert cursor.value("PRAGMA synchronous") == synchronous
        assert cursor.value("PRAGMA journal_mode") == "wal"


def lock_free(path: Path) -> bool:
    """Whether nobody has the file open: only then SQLite removes its log as the last one leaves."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version").fetchone()
    return not path.with_name(f"{path.name}-wal").exists()


def test_a_database_of_another_version_is_refused(path: Path) -> None:
    with closing(Database(path, durable=False)) as database:
        add(database, "a")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 77")
    with pytest.raises(OSError, match=r"^the registry's database has version 77, not \d+$"):
        Database(path, durable=False)
    assert lock_free(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is not a database, and is longer than a header of one would be" * 20)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Database(path, durable=False)


def test_transactions_wait_for_each_other_and_closing_for_them(database: Database) -> None:
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with database.transaction() as cursor:
            inside.set()
            leave.wait(20)
            cursor.run(ADD, "a", 1.5)

    seen: list[list[str]] = []
    threads = [
        threading.Thread(target=first),
        threading.Thread(target=lambda: seen.append(names(database))),
        threading.Thread(target=database.close),
    ]
    threads[0].start()
    assert inside.wait(20)
    for thread in threads[1:]:
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
    leave.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert seen in ([["a"]], [])


def refuses(cursor: Cursor, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        cursor.run(statement)


def test_the_schema_refuses_what_cannot_be(database: Database) -> None:
    add(database, "a")
    with database.transaction() as cursor:
        refuses(cursor, "INSERT INTO upload (id, repository, side, touched_at) VALUES ('u', 'a', 'other', 0)")
        refuses(cursor, "INSERT INTO upload (id, repository, side, touched_at) VALUES ('u', 'b', 'api', 0)")
        refuses(cursor, "INSERT INTO reference VALUES ('a', 'image', 'digest', 'other')")
