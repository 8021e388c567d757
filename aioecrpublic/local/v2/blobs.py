"""Blobs, whole or in ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from aiohttp import web

from aioecrpublic.local.bodies import TransferTimeout
from aioecrpublic.local.reading import read_at
from aioecrpublic.local.threads import run_to_its_end
from aioecrpublic.local.v2.errors import API_VERSION, V2Error, unknown_blob, unknown_name

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from aioecrpublic.local.state import State
    from aioecrpublic.local.v2.routes import Route

_SLICE: Final = 256 * 1024


class Blobs:
    """Sends blobs.

    Args:
        state: The registry.
        threads: Where files are read.
    """

    def __init__(self, state: State, threads: Executor) -> None:
        self._state = state
        self._threads = threads

    async def get(self, request: web.BaseRequest, where: Route, _: str) -> web.StreamResponse:
        """``GET`` and ``HEAD`` of a blob.

        Raises:
            V2Error: It is not there, or the range is not in it.
        """
        file, size = await run_to_its_end(self._threads, self._open, where, request.method)
        try:
            asked = _range(request, size)
            part = range(size) if asked is None else asked
            response = web.StreamResponse(status=200 if asked is None else 206)
            response.headers.update(
                {
                    **API_VERSION,
                    "Content-Type": "application/octet-stream",
                    "Docker-Content-Digest": where.what,
                    "Accept-Ranges": "bytes",
                    "Cache-Control": "max-age=31536000",
                    "ETag": f'"{where.what}"',
                }
            )
            if asked is not None:
                response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
            response.content_length = len(part)
            await response.prepare(request)
            if request.method != "HEAD":
                await self._send(response, file, part)
        finally:
            file.close()
        return response

    async def _send(self, response: web.StreamResponse, file: BinaryIO, part: range) -> None:
        """Send a part of a file; a reader that is too slow loses its connection."""
        timeout = TransferTimeout(self._state.settings.idle_timeout)
        for start in range(part.start, part.stop, _SLICE):
            try:
                data = await read_at(self._threads, file, start, min(_SLICE, part.stop - start))
                async with timeout.waiting():
                    await response.write(data)
                timeout.moved(len(data))
            except EOFError:
                raise ConnectionAbortedError("a blob is shorter than it was") from None
            except TimeoutError:
                raise ConnectionAbortedError("nobody reads the reply") from None

    def _open(self, where: Route, method: str) -> tuple[BinaryIO, int]:
        with self._state.database.transaction() as cursor:
            if cursor.row("SELECT 1 FROM repository WHERE name = ?", where.repository) is None:
                raise unknown_name(where.repository)
            if method == "HEAD":
                # Who asks whether a layer is there will rely on it; who reads it has it.
                cursor.run(
                    "UPDATE layer SET touched_at = ? WHERE repository = ? AND digest = ?",
                    self._state.now(),
                    where.repository,
                    where.what,
                )
            size = cursor.value(
                "SELECT size FROM layer WHERE repository = ? AND digest = ?", where.repository, where.what
            )
            if size is None:
                raise unknown_blob()
            # Within the transaction: outside of it the garbage may be collected.
            return self._state.blobs.open(where.what), size


def _range(request: web.BaseRequest, size: int) -> range | None:
    """The part of a blob that is asked for; ``None``: all, also if it cannot be read (RFC 9110, 14.2)."""
    whole = range(size)
    value = request.headers.get("Range", "")
    unit, _, wanted = value.partition("=")
    first, dash, last = wanted.strip().partition("-")
    numbers = [number for number in (first, last) if number]
    valid = dash and numbers and all(number.isascii() and number.isdigit() for number in numbers)
    if unit.strip().lower() != "bytes" or not valid or len(wanted) > 40:  # noqa: PLR2004 - two large numbers
        return None
    if not first:
        part = whole[max(size - int(last), 0) :]
    else:
        part = whole[int(first) : int(last) + 1 if last else None]
    if not part:
        raise V2Error(
            416, "UNSUPPORTED", "the range is not in the blob", {"Content-Range": f"bytes */{size}"}
        )
    return part
