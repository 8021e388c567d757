"""Blobs, whole or in ranges."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic.local.v2.errors import API_VERSION, unknown_blob, unknown_name

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from aioecrpublic.local.state import State
    from aioecrpublic.local.v2.routes import Route

# Bytes a second that even the slowest reader has to reach, beside the time it may always take.
_SLOWEST: Final = 16 * 1024


class Blobs:
    """Sends blobs.

    Args:
        state: The registry.
        threads: Where blobs are looked up.
    """

    def __init__(self, state: State, threads: Executor) -> None:
        self._state = state
        self._threads = threads

    async def get(self, request: web.BaseRequest, where: Route, _: str) -> web.StreamResponse:
        """``GET`` and ``HEAD`` of a blob.

        Raises:
            V2Error: It is not there.
        """
        loop = asyncio.get_running_loop()
        path, size = await loop.run_in_executor(self._threads, self._find, where)
        headers = {
            **API_VERSION,
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": where.what,
            "Cache-Control": "max-age=31536000",
        }
        response = web.FileResponse(path, headers=headers)
        response.etag = where.what
        async with asyncio.timeout(self._state.settings.idle_timeout + size / _SLOWEST):
            await response.prepare(request)
        return response

    def _find(self, where: Route) -> tuple[Path, int]:
        with self._state.database.transaction() as cursor:
            if cursor.row("SELECT 1 FROM repository WHERE name = ?", where.repository) is None:
                raise unknown_name(where.repository)
            size = cursor.value(
                "UPDATE layer SET touched_at = ? WHERE repository = ? AND digest = ? RETURNING size",
                self._state.now(),
                where.repository,
                where.what,
            )
        if size is None:
            raise unknown_blob()
        return self._state.blobs.path(where.what), size
