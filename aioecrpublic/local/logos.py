"""The logos that catalog data points at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from aioecrpublic.local.state import State

LOGOS: Final = "/logos/"
_PNG: Final = b"\x89PNG"


class Logos:
    """Answers requests for logos; anybody may ask.

    Args:
        state: The registry.
        threads: Where files are read.
    """

    def __init__(self, state: State, threads: Executor) -> None:
        self._state = state
        self._threads = threads

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The reply to a request."""
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        name = request.rel_url.raw_path.removeprefix(LOGOS)
        logo = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, name)
        if logo is None:
            return web.Response(status=404)
        return web.Response(
            body=logo,
            content_type="image/png" if logo.startswith(_PNG) else "image/jpeg",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    def _read(self, name: str) -> bytes | None:
        digest = f"sha256:{name}"
        with self._state.database.transaction() as cursor:
            row = cursor.row(
                "SELECT 1 FROM repository WHERE json_extract(catalog, '$.logo') = ?",
                digest,
            )
            # Within the transaction: outside of it the garbage may be collected.
            return None if row is None else self._state.blobs.read(digest)
