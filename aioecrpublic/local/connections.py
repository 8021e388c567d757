"""Connections: as many as there may be, and none that only rests, trickles or does not close."""

from __future__ import annotations

import asyncio
import heapq
import resource
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from aioecrpublic.local.logs import ACCESS_LOG, AccessLogger, log, log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from aiohttp import StreamReader

# What aiohttp reads of a body before it is wanted; half of what it has when it stops, but for the last piece.
_READ_BUFFER: Final = 64 * 1024
# Bytes that may come without a whole head among them, and while the request before them is answered.
_MAX_HEAD: Final = 64 * 1024
_MAX_AHEAD: Final = 1024 * 1024
LINGERING: Final = 1.0
"""Seconds that are given to what is under way, when a connection or the registry ends."""
# A request that has moved nothing for so many seconds may be given up for a new connection.
_STALLED: Final = 1.0
BACKLOG: Final = 128
"""Connections that are taken at once."""
# Files that are open beside connections and what is sent on them, in the program around the registry too.
_OTHER_FILES: Final = 64 + BACKLOG
# So many are given up at once: looking for them takes time.
_BATCH: Final = 8
_LONGEST_ROUND: Final = 1.0


class Connection(web.RequestHandler):
    """A connection, as aiohttp serves it, and what it is at.

    Args:
        connections: All of them.
        manager: aiohttp's server.

    Attributes:
        request: The request that is being answered, if one is.
        is_trusted: Whether its peer has shown that it knows a secret.
        since: When it began to wait for a request, or for the rest of one.
        moved_at: When bytes last came or went.
        received: How many have come.
    """

    __slots__ = (
        "_begun",
        "_closing_since",
        "_connections",
        "_content",
        "_unread",
        "_unsent",
        "_wire",
        "is_trusted",
        "moved_at",
        "peer",
        "received",
        "request",
        "since",
    )

    def __init__(self, connections: Connections, manager: web.Server) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            manager,
            loop=loop,
            logger=log,
            access_log=ACCESS_LOG,
            access_log_class=AccessLogger,
            auto_decompress=False,
            keepalive_timeout=connections.idle_timeout,
            lingering_time=LINGERING,
            read_bufsize=_READ_BUFFER,
        )
        self.request: web.BaseRequest | None = None
        self.is_trusted: bool = False
        self.since: float = loop.time()
        self.moved_at: float = self.since
        self.peer: str = ""
        self.received: int = 0
        self._connections = connections
        self._wire: asyncio.Transport | None = None
        self._content: StreamReader | None = None
        self._begun = 0
        self._unread = 0
        self._unsent = 0
        self._closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note a new connection, which may be one too many."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            self._wire = transport
        self.peer = str((transport.get_extra_info("peername") or [""])[0])
        self._connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget a connection."""
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; hang up if it is endless and no request."""
        if not data:
            super().data_received(data)
            return
        self.moved_at = self._loop.time()
        self.received += len(data)
        in_body = self._content is not None and not self._content.is_eof()
        heads = self._request_count
        # A request is begun a moment after its head has come.
        is_due = self.request is None and heads > self._begun
        super().data_received(data)
        if in_body or is_due:
            return
        if self.request is None:
            if not self._unread:
                self.since = self.moved_at
            if self._request_count > heads:
                return
        self._unread += len(data)
        if self._unread > (_MAX_HEAD if self.request is None else _MAX_AHEAD):
            self.abort()

    @property
    def is_full(self) -> bool:
        """Whether more has come than is wanted at the moment."""
        return self._reading_paused

    def resume_writing(self) -> None:
        """Note that the peer reads."""
        self.moved_at = self._loop.time()
        super().resume_writing()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what aiohttp could not do: a request that is not HTTP is nobody's failure."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError):
            # It quotes the line that is wrong, which may be one with a token.
            log.info("%s: not a valid request: %s", self.peer, type(error).__name__)
        elif isinstance(error, BaseException):
            log_failure(str(args[0]), error)
        else:
            log.error("%s", args[0])

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a request is being answered."""
        self.request = request
        self._content = request.content
        self._begun += 1
        self._unread = 0

    def end(self) -> None:
        """Note that it has been answered."""
        self.request = None
        self.since = self.moved_at = self._loop.time()

    def abort(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        if self._wire is not None:
            self._wire.abort()

    def check(self, now: float) -> None:
        """Abort the connection if its peer has let it wait too long, for a request or for its end."""
        if self._wire is None:
            return
        unsent = self._wire.get_write_buffer_size()
        if unsent < self._unsent:
            self.moved_at = now
        self._unsent = unsent
        if self._wire.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            waited = now - self._closing_since
        else:
            waited = now - self.since if self.request is None else 0.0
        if waited > self._connections.idle_timeout:
            self.abort()


class Connections:
    """All connections: no more than a number, of which one is given up for each that is new.

    Those that rest go first, and among them those whose peers have not shown that they know a secret, have
    most of them, and have let them rest longest; then requests that have stalled.

    Args:
        most: How many there may be; fewer if the system has not as many files for the process.
        idle_timeout: Seconds that a connection may rest, that a request's head may take, and a close.
    """

    def __init__(self, most: int, idle_timeout: float) -> None:
        self.idle_timeout = idle_timeout
        self._most = _possible(most)
        self._all: dict[Connection, None] = {}

    def add(self, connection: Connection) -> None:
        """Count a new connection; if it is one too many, others are given up, or itself."""
        if len(self._all) >= self._most:
            victims = self._victims(asyncio.get_running_loop().time())
            if not victims:
                connection.abort()
            for victim in victims:
                victim.abort()
                self.remove(victim)
        self._all[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._all.pop(connection, None)

    def abort(self) -> None:
        """Close all of them."""
        for connection in list(self._all):
            connection.abort()

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None, None]:
        """Watch over their limits of time, beside whatever else is done."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self.idle_timeout / 4, _LONGEST_ROUND))
            for connection in list(self._all):
                connection.check(loop.time())

    def _victims(self, now: float) -> list[Connection]:
        peers = Counter(connection.peer for connection in self._all)
        resting = [connection for connection in self._all if connection.request is None]
        if resting:
            return heapq.nsmallest(
                _BATCH, resting, key=lambda each: (each.is_trusted, -peers[each.peer], each.since)
            )
        stalled = [connection for connection in self._all if now - connection.moved_at > _STALLED]
        return heapq.nsmallest(_BATCH, stalled, key=lambda each: (each.is_trusted, each.moved_at))


@contextmanager
def answering(request: web.BaseRequest) -> Generator[None, None, None]:
    """Note that a request is being answered, until the context is left."""
    connection = connection_of(request)
    connection.begin(request)
    try:
        yield
    finally:
        connection.end()


def connection_of(request: web.BaseRequest) -> Connection:
    """Return the connection that a request has come on."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError(type(connection))
    return connection


def trust(request: web.BaseRequest) -> None:
    """Note that the peer of a request has shown that it knows a secret."""
    connection_of(request).is_trusted = True


def hang_up(request: web.BaseRequest) -> web.Response:
    """Close a connection at once, whatever is still to be sent; what a handler returns then."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _possible(most: int) -> int:
    """Return how many connections there may be, each with a file that is sent on it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, (soft - _OTHER_FILES) // 2))
