"""The listening socket: requests as aiohttp parses them, with a limit to how long anybody may dawdle."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from typing import TypeAlias

    from aioecrpublic.local.state import Settings

    Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# Bytes a second that even the slowest sender of a body has to reach, beside the time it may always take.
_SLOWEST: Final = 16 * 1024
_FAREWELL: Final = 1.0
_log = logging.getLogger("aioecrpublic.local.access")


class BodyTooLargeError(Exception):
    """A body is larger than it may be; it was not read any further."""


class BodyTimeoutError(Exception):
    """A body did not come, or came too slowly."""


@attrs.frozen
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL of its root."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def listening(
    handler: Handler, host: str, port: int, settings: Settings
) -> AsyncGenerator[Address, None]:
    """Serve requests; at the end those that are under way have a second to finish.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, _Connection):
            request.protocol.begun = True
        try:
            response = await handler(request)
            # Sent here and not by aiohttp, which waits for a reader for ever.
            async with asyncio.timeout(settings.idle_timeout):
                await response.prepare(request)
                await response.write_eof()
        except (ConnectionError, TimeoutError, web.PayloadAccessError):
            return hang_up(request)
        return response

    loop = asyncio.get_running_loop()
    manager = web.Server(handle)
    try:
        server = await loop.create_server(
            lambda: _Connection(manager, loop, settings.idle_timeout), host, port
        )
    except OSError as error:
        # asyncio says in front of the reason what is said here already, and from Python 3.13 on a number too.
        reason = (error.strerror or str(error)).rpartition(": ")[2].removeprefix(f"[errno {error.errno}] ")
        raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}") from error
    try:
        yield Address(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        manager.pre_shutdown()
        await manager.shutdown(_FAREWELL)
        await server.wait_closed()


def hang_up(request: web.BaseRequest) -> web.Response:
    """Close a connection at once, whatever is still to be sent; what a handler returns then."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def body_of(request: web.BaseRequest, idle_timeout: float) -> AsyncIterator[bytes]:
    """The body of a request, piece by piece.

    Args:
        request: The request.
        idle_timeout: Seconds to wait for a piece; all of it may take that and a second for each 16 KiB.

    Raises:
        BodyTimeoutError: It did not come in time.
    """
    loop = asyncio.get_running_loop()
    last = loop.time() + idle_timeout
    while True:
        try:
            async with asyncio.timeout_at(min(last, loop.time() + idle_timeout)):
                piece = await request.content.readany()
        except TimeoutError:
            raise BodyTimeoutError from None
        if not piece:
            return
        last += len(piece) / _SLOWEST
        yield piece


async def read_body(request: web.BaseRequest, most: int, idle_timeout: float) -> bytearray:
    """The whole body of a request.

    Raises:
        BodyTooLargeError: It has more than ``most`` bytes, or says so.
        BodyTimeoutError: It did not come in time.
    """
    if (request.content_length or 0) > most:
        raise BodyTooLargeError
    body = bytearray()
    async for piece in body_of(request, idle_timeout):
        if len(body) + len(piece) > most:
            raise BodyTooLargeError
        body += piece
    return body


class _Connection(web.RequestHandler):
    """aiohttp's connection, closed if its first request is long in coming.

    Between requests aiohttp closes idle connections itself.
    """

    __slots__ = ("_timeout", "_watch", "begun")

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop, idle_timeout: float) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=_log,
            auto_decompress=False,
            keepalive_timeout=idle_timeout,
            lingering_time=_FAREWELL,
        )
        self.begun = False
        self._timeout = idle_timeout
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._watch = asyncio.get_running_loop().call_later(self._timeout, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if not self.begun and isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
