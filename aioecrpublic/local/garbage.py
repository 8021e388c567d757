"""What nothing refers to any more, and what an interrupted registry left half-done."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from concurrent.futures import Executor

    from aioecrpublic.local.blobs import BlobStore
    from aioecrpublic.local.database import Cursor, Database
    from aioecrpublic.local.state import State

_log = logging.getLogger("aioecrpublic.local")
# Files that are removed in one transaction, so that nobody waits for many.
_BATCH: Final = 64


def clear_up(database: Database, blobs: BlobStore) -> None:
    """Remove files of uploads that no row names, rows that have no file; run before anything else does."""
    with database.transaction() as cursor:
        uploads = {row["id"] for row in cursor.rows("SELECT id FROM upload")}
        files = set(blobs.uploads())
        for upload_id in uploads - files:
            cursor.run("DELETE FROM upload WHERE id = ?", upload_id)
    for upload_id in files - uploads:
        blobs.drop_upload(upload_id)
    _drop_blobs(database, blobs)


def sweep(state: State) -> None:
    """Forget uploads that were abandoned and layers that no image has, and remove what nothing names."""
    before = state.forgotten_before()
    with state.database.transaction() as cursor:
        abandoned = cursor.rows("DELETE FROM upload WHERE touched_at < ? RETURNING id", before)
        cursor.run(
            "DELETE FROM layer WHERE touched_at < ? AND NOT EXISTS ("
            "SELECT 1 FROM reference WHERE reference.repository = layer.repository"
            " AND reference.digest = layer.digest AND kind = 'layer')",
            before,
        )
    for upload in abandoned:
        state.blobs.drop_upload(upload["id"])
    _drop_blobs(state.database, state.blobs)


@asynccontextmanager
async def sweeping(state: State, threads: Executor) -> AsyncGenerator[None, None]:
    """Sweep again and again, beside whatever else is done."""
    loop = asyncio.get_running_loop()

    async def work() -> None:
        while True:
            await asyncio.sleep(state.settings.sweep_interval)
            try:
                await loop.run_in_executor(threads, sweep, state)
            except Exception:  # noqa: BLE001 - the next time may be better
                _log.exception("collecting garbage failed")

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _drop_blobs(database: Database, blobs: BlobStore) -> None:
    digests = list(blobs.digests())
    for start in range(0, len(digests), _BATCH):
        # Blobs become layers within transactions: what is unnamed within one can be removed in it.
        with database.transaction() as cursor:
            for digest in digests[start : start + _BATCH]:
                if not _is_named(cursor, digest):
                    blobs.drop(digest)


def _is_named(cursor: Cursor, digest: str) -> bool:
    return (
        cursor.row(
            "SELECT 1 FROM layer WHERE digest = ? UNION ALL"
            " SELECT 1 FROM repository WHERE json_extract(catalog, '$.logo') = ?",
            digest,
            digest,
        )
        is not None
    )
