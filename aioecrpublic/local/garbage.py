"""What nothing refers to any more, and what an interrupted registry left half-done."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aioecrpublic.local.disk import NO_SPACE
from aioecrpublic.local.logs import log, log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator
    from concurrent.futures import Executor

    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.state import State

# Files that are removed in one transaction, so that nobody waits for many.
_BATCH: Final = 64


def clear_up(state: State) -> None:
    """Mend what an interrupted registry left: uploads and their files; run before anything else is done."""
    state.disk.free(lambda: _forget_lost_uploads(state))
    drop_unnamed(state, state.blobs.uploads(), state.blobs.digests())
    if not state.disk.reserve_room():
        log.warning("%s Until there is, the registry only reads and deletes.", NO_SPACE)


def sweep(state: State) -> None:
    """Forget uploads that were abandoned and layers that no image has, and remove what nothing names."""
    state.disk.free(lambda: _forget_abandoned(state))
    drop_unnamed(state, state.blobs.uploads(), state.blobs.digests())
    state.disk.reserve_room()


def drop_unnamed(state: State, uploads: Iterable[str], digests: Iterable[str]) -> None:
    """Remove those files of uploads and layers that the database does not know.

    Files are made, and become layers, within transactions: what is unnamed within one can be removed in it.
    """
    for names, is_named, drop in (
        (uploads, _is_upload, state.blobs.drop_upload),
        (digests, _is_named, state.blobs.drop),
    ):
        for batch in _batches(list(names)):
            with state.database.transaction() as cursor:
                for name in batch:
                    if not is_named(cursor, name):
                        drop(name)


@asynccontextmanager
async def sweeping(state: State, threads: Executor) -> AsyncGenerator[None, None]:
    """Sweep again and again, beside whatever else is done."""
    loop = asyncio.get_running_loop()

    async def work() -> None:
        while True:
            await asyncio.sleep(state.settings.sweep_interval)
            try:
                await loop.run_in_executor(threads, sweep, state)
            except Exception as error:  # noqa: BLE001 - the next time may be better
                log_failure("collecting garbage failed", error)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _forget_lost_uploads(state: State) -> None:
    """Delete uploads whose file has not all that was acknowledged; cut off what was not."""
    blobs = state.blobs
    files = set(blobs.uploads())
    with state.database.transaction() as cursor:
        for row in cursor.rows("SELECT id, received FROM upload"):
            upload_id, received = row
            if upload_id not in files or blobs.upload_size(upload_id) < received:
                cursor.run("DELETE FROM upload WHERE id = ?", upload_id)
            elif blobs.upload_size(upload_id) > received:
                blobs.open_upload(upload_id, received).close()


def _forget_abandoned(state: State) -> None:
    before = state.forgotten_before()
    with state.database.transaction() as cursor:
        cursor.run("DELETE FROM upload WHERE touched_at < ?", before)
        cursor.run(
            "DELETE FROM layer WHERE touched_at < ? AND NOT EXISTS ("
            "SELECT 1 FROM reference WHERE reference.repository = layer.repository"
            " AND reference.digest = layer.digest AND kind = 'layer')",
            before,
        )


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _is_upload(cursor: Cursor, upload_id: str) -> bool:
    return cursor.row("SELECT 1 FROM upload WHERE id = ?", upload_id) is not None


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
