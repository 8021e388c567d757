"""The listening socket: requests as aiohttp parses them, answered and sent within limits of time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import HttpVersion10, HttpVersion11, web

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.local.connections import BACKLOG, LINGERING, Connection, Connections, answering, hang_up
from aioecrpublic.local.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import TypeAlias

    from aioecrpublic.local.state import Settings

    Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# By the addresses that stand for all there are.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for by whoever starts the registry
# Seconds in which a host's address has to be found.
_LOOK_UP: Final = 30.0
_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})


@attrs.frozen
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL of its root, for a client on this machine: nothing can be sent to all addresses at once."""
        host = _LOOPBACK.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@asynccontextmanager
async def listening(
    handler: Handler, host: str, port: int, settings: Settings
) -> AsyncGenerator[Address, None]:
    """Serve requests; at the end those that are under way have a second to finish.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    connections = Connections(settings.most_connections, settings.idle_timeout)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.version not in _VERSIONS:
            return hang_up(request)
        with answering(request):
            return await _answer(handler, request, settings)

    manager = web.Server(handle)
    server = await _listen(lambda: Connection(connections, manager), host, port)
    try:
        async with connections.watching():
            yield Address(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        manager.pre_shutdown()
        await manager.shutdown(LINGERING)
        # What a peer does not read is not waited for.
        connections.abort()
        await server.wait_closed()


async def _listen(make: Callable[[], Connection], host: str, port: int) -> asyncio.Server:
    if not host:
        # It would be all addresses there are.
        raise ConfigurationError("host must not be empty")
    # As an IPv6 address is written in a URL.
    address = host.removeprefix("[").removesuffix("]")
    try:
        async with asyncio.timeout(_LOOK_UP):
            return await asyncio.get_running_loop().create_server(make, address, port, backlog=BACKLOG)
    except TimeoutError:
        raise ConfigurationError(f"cannot listen on {host} port {port}: its address was not found") from None
    except OSError as error:
        # asyncio says in front of the reason what is said here already, and from Python 3.13 on a number too.
        reason = (error.strerror or str(error)).rpartition(": ")[2].removeprefix(f"[errno {error.errno}] ")
        raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}") from error
    except (OverflowError, ValueError) as error:
        # No port at all, or what cannot be encoded as the name of a host.
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error}") from error


async def _answer(handler: Handler, request: web.BaseRequest, settings: Settings) -> web.StreamResponse:
    """Answer a request, and send the reply: aiohttp, which would send it, waits for a reader for ever."""
    try:
        response = await handler(request)
    except (ConnectionError, TimeoutError, web.PayloadAccessError) as error:
        # Whose frames hold all that has come of the body, and aiohttp holds the error.
        error.__traceback__ = None
        return hang_up(request)
    except Exception as error:  # noqa: BLE001 - a server answers its own faults too
        log_failure(f"{request.method} {request.path} failed", error)
        response = web.Response(status=500)
        response.force_close()
    try:
        async with asyncio.timeout(settings.idle_timeout):
            await response.prepare(request)
            await response.write_eof()
    except (ConnectionError, TimeoutError):
        return hang_up(request)
    return response
