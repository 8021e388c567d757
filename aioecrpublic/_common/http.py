"""HTTP exchanges by aiohttp in which every wait has a limit.

The user sets two limits, in seconds:

* *connect* is the time until a connection is established: name resolution, TCP, a proxy's ``CONNECT`` and the
  TLS handshake together.
* *read* is the time from the end of the request to the end of the reply's head. Interim replies (100, 103)
  and a head that arrives byte by byte do not extend it. The body may then be waited for as long again; each
  byte adds ``1 / MIN_RATE`` seconds to what is left, up to *read*. A peer therefore has to send ``MIN_RATE``
  bytes per second on average, and must not pause for longer than *read*.

A load balancer may drop idle connections without notice, usually several at once. If a request finds its
pooled connection closed before the first byte of a reply, the pool drops every connection that was idle at
that time. A request that only reads is then sent once more, and still counts as one attempt of its caller.
Any other request fails: the peer may have carried it out before the connection broke, so the caller has to
decide whether to repeat it.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

import aiohttp
import attrs

from aioecrpublic._common.masking import Mask
from aioecrpublic._common.resolver import DaemonResolver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Mapping

    import yarl
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace
    from multidict import CIMultiDictProxy

    from aioecrpublic._common.proxy import Proxy

MIN_RATE: Final = 1024
"""Bytes per second that a peer has to send on average while its reply is waited for."""

# Otherwise it is what there was of a head.
_DISCONNECTED: Final = aiohttp.ServerDisconnectedError().message


@attrs.frozen
class Timeouts:
    """Seconds: for a connection to be made, and for the peer to take or give what comes next."""

    connect: float
    read: float
    # For the user's session, where a wait for its pool counts as one for a connection.
    given: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)
    # For our own pool, where one timer of ours limits all that follows the connection.
    own: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)

    @given.default
    def _given(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=None, connect=self.connect, sock_connect=self.connect, sock_read=self.read
        )

    @own.default
    def _own(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=None, connect=self.connect, sock_connect=self.connect)


class Settings(TypedDict, total=False):
    """What a request may tell aiohttp to do otherwise than by default."""

    auto_decompress: bool
    skip_auto_headers: tuple[str, ...]


class _Route(TypedDict, total=False):
    proxy: yarl.URL
    proxy_headers: Mapping[str, str]


class SessionError(ValueError):
    """A session of the user's that cannot be used; the message says why."""


class Connections:
    """The connections of a client or of a registry reader: a pool of its own, or its user's session.

    Args:
        session: What makes the requests.
        own: Whether it is to be closed here; ``open`` makes such a one.

    Raises:
        SessionError: The session has an authorization of its own for all requests.
    """

    def __init__(self, session: aiohttp.ClientSession, *, own: bool = False) -> None:
        if session.auth is not None:
            raise SessionError("session must have no auth of its own: aiohttp sends it to every host")
        self._session = session
        self._own = own

    @classmethod
    def open(cls, context: ssl.SSLContext | None = None) -> Self:
        """Return a new pool without a limit to its size; ``None`` trusts whom aiohttp does."""
        connector = _Connector(limit=0, ssl=context or True, resolver=DaemonResolver())
        return cls(aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()), own=True)

    @property
    def closed(self) -> bool:
        """Whether no request can be made any more."""
        return self._session.closed

    async def close(self) -> None:
        """Abort all connections, unless the session is the user's."""
        if not self._own:
            return
        if isinstance(self._session.connector, _Connector):
            # An orderly close would wait until the peer has taken the rest of a body.
            self._session.connector.abort()
        await self._session.close()

    async def request(
        self,
        method: str,
        url: yarl.URL,
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str],
        body: Any = None,
        proxy: Proxy | None = None,
        settings: Settings,
        repeatable: bool,
        secrets: tuple[str, ...] = (),
    ) -> Response:
        """Send a request and return its response, the body unread; redirects are not followed.

        Args:
            method: The method.
            url: Where to.
            timeouts: The limits.
            headers: The headers.
            body: What aiohttp takes as ``data``, or a function that makes it each time it is to be sent.
            proxy: The proxy to go through.
            settings: What aiohttp has to do otherwise than by default.
            repeatable: Whether the request may be sent twice where the pool's connection was dead: it changes
                nothing.
            secrets: What no error is to show, besides what is secret in the headers.

        Raises:
            aiohttp.ClientError: There is no connection, it broke, or what came is no reply.
            TimeoutError: A limit has passed; where it was for the connection, it is aiohttp's
                ``ConnectionTimeoutError``.
            OSError: The connection broke.
        """
        sent, route = _route(url, headers, proxy)
        while True:
            exchange = _Exchange(timeouts.read)
            token = _EXCHANGE.set(exchange)
            try:
                async with asyncio.timeout(None if self._own else timeouts.connect + timeouts.read) as limit:
                    exchange.limit = limit
                    response = await self._session.request(
                        method,
                        url,
                        headers=sent,
                        data=body() if callable(body) else body,
                        allow_redirects=False,
                        raise_for_status=False,
                        timeout=timeouts.own if self._own else timeouts.given,
                        **settings,
                        **route,
                    )
                return Response(response, exchange, sent, secrets)
            except BaseException as error:
                exchange.abort()
                dead = not self.closed and exchange.found_dead(error)
                if not (dead and repeatable):
                    Mask.of_request(sent, url, secrets).clean(error)
                    raise
                repeatable = False
            finally:
                exchange.limit = None
                _EXCHANGE.reset(token)


class Response:
    """The head of a reply, and its body as far as it was read.

    Attributes:
        status: The status.
        reason: The reason phrase.
        headers: The headers.
        url: Where it came from.
        sent: The headers of the request.
    """

    __slots__ = ("_exchange", "_left", "_response", "_secrets", "headers", "reason", "sent", "status", "url")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        exchange: _Exchange,
        sent: Mapping[str, str],
        secrets: tuple[str, ...],
    ) -> None:
        self._response = response
        self._exchange = exchange
        self._secrets = secrets
        self.sent: Mapping[str, str] = sent
        # Seconds that the body may still be waited for.
        self._left = exchange.read
        self.status: int = response.status
        self.reason: str | None = response.reason
        self.headers: CIMultiDictProxy[str] = response.headers
        self.url: yarl.URL = response.url

    @property
    def content_length(self) -> int | None:
        """What the reply says of its body's length."""
        return self._response.content_length

    def hide_secrets(self, text: str) -> str:
        """Return what the peer says, without what it may have sent back of the request's secrets."""
        return self._mask.text(text)

    @property
    def _mask(self) -> Mask:
        return Mask.of_request(self.sent, self.url, self._secrets)

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the body, at most ``size`` if it is not negative; none at its end.

        Raises:
            aiohttp.ClientError: The connection broke, or the body is not what its headers say.
            TimeoutError: The bytes have not come in time.
            OSError: The connection broke.
        """
        content = self._response.content
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._left):
                data = await (content.readany() if size < 0 else content.read(size))
        except (aiohttp.ClientError, OSError) as error:
            self._exchange.abort()
            self._mask.clean(error)
            raise
        earned = len(data) / MIN_RATE - (loop.time() - started)
        self._left = min(self._left + earned, self._exchange.read)
        return data

    async def read_whole(self, limit: int) -> bytes | None:
        """Return the body, or ``None`` if it has more than ``limit`` bytes.

        Raises:
            aiohttp.ClientError: As ``read``.
            TimeoutError: As ``read``.
            OSError: As ``read``.
        """
        content = self._response.content
        if content.is_eof():
            # All of it has come with the head, as a small one does.
            whole = content.read_nowait()
            return whole if len(whole) <= limit else None
        pieces, size = [], 0
        while piece := await self.read():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                return None
        return b"".join(pieces)

    def close(self) -> None:
        """Be done with it; a body that was read to its end has given its connection back."""
        if self._response.connection is not None:
            self._exchange.abort()
        self._response.close()


def is_cut_short(error: BaseException) -> bool:
    """Say whether the connection was closed in the middle of a reply's head."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and error.message != _DISCONNECTED


@contextlib.contextmanager
def sending() -> Generator[None]:
    """Suspend the limit of the current exchange while its body is sent, which has limits of its own."""
    exchange = _EXCHANGE.get()
    exchange.set_deadline(None)
    try:
        yield
    finally:
        exchange.restart()


class _Exchange:
    """A request on its way, from the connection to the head of the reply.

    Attributes:
        limit: What ends it.
        read: The limit for the reply, in seconds.
    """

    __slots__ = ("_pool", "_transport", "limit", "read")

    def __init__(self, read: float) -> None:
        self.limit: asyncio.Timeout | None = None
        self.read: float = read
        self._transport: asyncio.Transport | None = None
        # The pool that the connection was idle in; ``None`` for one that is new, or the user's.
        self._pool: _Connector | None = None

    def begin(self, transport: asyncio.Transport | None, pool: _Connector | None) -> None:
        """Note the connection, and start the limit for the reply."""
        self._transport = transport
        self._pool = pool
        self.restart()

    def restart(self) -> None:
        """Start the limit for the reply anew."""
        self.set_deadline(asyncio.get_running_loop().time() + self.read)

    def set_deadline(self, when: float | None) -> None:
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(when)

    def abort(self) -> None:
        """Abort the connection; what the peer has not taken yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def found_dead(self, error: BaseException) -> bool:
        """Say whether ``error`` means that a pooled connection was closed before the first byte of a reply.

        If so, the pool drops the other connections that are idle.
        """
        if self._pool is None or isinstance(error, TimeoutError):
            return False
        dead = isinstance(error, aiohttp.ClientConnectionError | ConnectionError) and not is_cut_short(error)
        if dead:
            self._pool.drop_idle()
        return dead


_EXCHANGE: ContextVar[_Exchange] = ContextVar("exchange")


class _Connector(aiohttp.TCPConnector):
    """aiohttp's pool, which starts the limit for the reply when it hands out a connection."""

    def __init__(self, *, limit: int, ssl: ssl.SSLContext | bool, resolver: DaemonResolver) -> None:
        super().__init__(limit=limit, ssl=ssl, resolver=resolver)
        # When each connection was last handed out, by the event loop's clock.
        self._taken: weakref.WeakKeyDictionary[asyncio.Transport, float] = weakref.WeakKeyDictionary()
        self._idle_dropped_at = 0.0

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            transport = connection.transport
            taken = None if transport is None else self._taken.get(transport)
            if transport is None or taken is None or taken > self._idle_dropped_at:
                break
            transport.abort()
            connection.close()
        if transport is not None:
            self._taken[transport] = self._loop.time()
        _EXCHANGE.get().begin(transport, None if taken is None else self)
        return connection

    def drop_idle(self) -> None:
        """Drop the connections that are idle now; each is closed when it is next taken from the pool."""
        self._idle_dropped_at = self._loop.time()

    def abort(self) -> None:
        """Abort all connections, including those that are being closed."""
        for transport in list(self._taken):
            transport.abort()


def _route(
    url: yarl.URL, headers: Mapping[str, str], proxy: Proxy | None
) -> tuple[Mapping[str, str], _Route]:
    """Return the headers to send and the way to go; a proxy's password is kept out of its URL."""
    if proxy is None:
        return headers, {}
    identity = {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
    if url.scheme == "https":
        return headers, {"proxy": proxy.url, "proxy_headers": identity}
    return {**headers, **identity}, {"proxy": proxy.url}
