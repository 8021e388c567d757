"""One HTTP exchange: a body out, a whole reply in, or a ``TransportError``."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import aiohttp
import attrs
from aiohttp import payload

from aioecrpublic._common.http import (
    Connections,
    Response,
    SessionError,
    Settings,
    Timeouts,
    is_cut_short,
    sending,
)
from aioecrpublic._common.proxy import ProxyError, find_proxy
from aioecrpublic._common.tls import CABundleError, client_context
from aioecrpublic._runtime.body import SLICE, SMALL_BODY, TLS_SLICE
from aioecrpublic._runtime.errors import (
    BrokenReplyError,
    ClientStateError,
    ConfigurationError,
    ConnectError,
    TimeoutError,  # noqa: A004 - the package's own, a subclass of the builtin
    TransportError,
)
from aioecrpublic._runtime.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from concurrent.futures import Executor

    import yarl
    from aiohttp.abc import AbstractStreamWriter

    from aioecrpublic._common.proxy import Proxy
    from aioecrpublic._common.tls import CABundle
    from aioecrpublic._runtime.body import Body

# The largest modelled reply is a page of 1 000 descriptions, far below this.
MAX_REPLY = 32 * 1024 * 1024
_SETTINGS: Settings = {
    "auto_decompress": True,
    "skip_auto_headers": ("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
}
_TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})


@attrs.frozen
class Reply:
    """An HTTP reply, read whole.

    Attributes:
        status: The status.
        headers: The headers.
        data: The body.
        sent: The headers of the request, which the peer may have sent back.
    """

    status: int
    headers: Mapping[str, str]
    data: bytes
    sent: Mapping[str, str] = attrs.field(factory=dict, repr=False)


class _StreamedBody(payload.Payload):
    """A body that is made while it is sent.

    Attributes:
        failure: Why it could not be sent: the reader's error, or a peer that takes nothing.
    """

    def __init__(self, body: Body, executor: Executor, stall: float, slice_size: int) -> None:
        super().__init__(body)
        self._slice_size = slice_size
        self._body = body
        self._executor = executor
        self._stall = stall
        self._size = body.length
        self.failure: Exception | None = None

    async def write(self, writer: AbstractStreamWriter) -> None:
        with sending():
            async with contextlib.aclosing(self._body.stream(self._executor, self._slice_size)) as pieces:
                while piece := await self._next(pieces):
                    await self._pass_on(writer, piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.read().decode(encoding, errors)

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes | None:
        try:
            return await anext(pieces, None)
        except Exception as error:
            self.failure = error
            raise

    async def _pass_on(self, writer: AbstractStreamWriter, piece: bytes) -> None:
        # Without a limit, the write would wait for a peer that stops reading.
        try:
            async with asyncio.timeout(self._stall):
                await writer.write(piece)
        except asyncio.TimeoutError as error:  # noqa: UP041 - the builtin's name is taken by ours in this module
            self.failure = TimeoutError(f"the service took no data within {self._stall:g} s")
            raise self.failure from error


class _ConnectionLimit:
    """A limit to the number of exchanges at once; further ones wait in the order in which they came."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._released_at = 0.0

    async def acquire(self, seconds: float) -> None:
        """Wait until an exchange may begin, as long as others end.

        Raises:
            TimeoutError: No exchange has ended for ``seconds``.
        """
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            self._released_at = loop.time()
        self._waiting.append(turn)
        try:
            await self._wait(turn, seconds)
        except BaseException:
            if turn.done():
                self.release()
            else:
                self._waiting.remove(turn)
            raise

    async def _wait(self, turn: asyncio.Future[None], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        while not turn.done():
            await asyncio.wait([turn], timeout=self._released_at + seconds - loop.time())
            if not turn.done() and loop.time() >= self._released_at + seconds:
                raise TimeoutError(f"no connection was free within {seconds:g} s")

    def release(self) -> None:
        """Let the next exchange begin."""
        if self._waiting:
            self._released_at = asyncio.get_running_loop().time()
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1


class Transport:
    """A connection pool, or the user's session.

    Args:
        session: The user's own session, which is never closed here; ``None`` makes a pool.
        max_connections: The pool's size.
        ca_bundle: The certificates to trust instead of the system's.
        url: Where most requests go.
        executor: Worker threads for reading certificates.

    Raises:
        ConfigurationError: The session cannot be used, or the environment names a proxy that is none.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        ca_bundle: CABundle | None,
        url: yarl.URL,
        executor: Executor,
    ) -> None:
        try:
            self._connections = None if session is None else Connections(session)
        except SessionError as error:
            raise ConfigurationError(str(error)) from error
        # The user's session has a limit of its own.
        self._limit = None if session is not None else _ConnectionLimit(max_connections)
        self._ca_bundle = ca_bundle
        self._url = url
        self._proxy = _find_proxy(url)
        self._executor = executor
        # A single thread encodes faster than most networks are. Four took a fifth more CPU time for a whole
        # push: glibc gives every thread a heap of its own, and what one of them allocates and the event loop
        # frees is returned to the system and faulted in again, slice after slice.
        self._encoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aioecrpublic-wire")

    async def open(self) -> None:
        """Make the pool; reading the system's certificates happens in a worker thread.

        Raises:
            ConfigurationError: The trusted certificates cannot be read.
        """
        if self._connections is not None:
            return
        try:
            encrypted = self._url.scheme == "https"
            context = await in_thread(self._executor, client_context, self._ca_bundle) if encrypted else None
        except CABundleError as error:
            raise ConfigurationError(str(error)) from error
        self._connections = Connections.open(context)

    async def close(self) -> None:
        """Break the connections off, unless they are the user's."""
        self._encoder.shutdown(wait=False)
        if self._connections is not None:
            await self._connections.close()

    async def send(
        self,
        url: yarl.URL,
        headers: Mapping[str, str],
        body: Body,
        timeouts: Timeouts,
        *,
        repeatable: bool = False,
    ) -> Reply:
        """Post ``body``; ``repeatable`` says that doing so twice changes nothing.

        Raises:
            ConnectError: No connection, or it broke.
            TimeoutError: Nothing happened for too long.
            BrokenReplyError: The reply was cut short or is far too large.
            ClientStateError: The pool is closed.
        """
        if self._limit is None:
            return await self._exchange(url, headers, body, timeouts, repeatable=repeatable)
        await self._limit.acquire(timeouts.read)
        try:
            return await self._exchange(url, headers, body, timeouts, repeatable=repeatable)
        finally:
            self._limit.release()

    async def _exchange(
        self, url: yarl.URL, headers: Mapping[str, str], body: Body, timeouts: Timeouts, *, repeatable: bool
    ) -> Reply:
        connections = self._connections
        if connections is None or connections.closed:
            raise ClientStateError("the client's connections are closed")
        content = body.content
        streamed: list[_StreamedBody] = []

        def stream() -> _StreamedBody:
            size = TLS_SLICE if url.scheme == "https" else SLICE
            streamed.append(_StreamedBody(body, self._encoder, timeouts.read, size))
            return streamed[-1]

        try:
            response = await connections.request(
                "POST",
                url,
                timeouts,
                headers=headers,
                body=content if content is not None and len(content) <= SMALL_BODY else stream,
                proxy=self._proxy if url == self._url else _find_proxy(url),
                settings=_SETTINGS,
                repeatable=repeatable,
            )
            try:
                return Reply(response.status, response.headers, await _read(response), response.sent)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError) as error:
            if streamed and streamed[-1].failure is not None:
                raise streamed[-1].failure from None
            raise _translated(error, timeouts) from error


def _find_proxy(url: yarl.URL) -> Proxy | None:
    try:
        return find_proxy(url)
    except ProxyError as error:
        raise ConfigurationError(str(error)) from error


async def _read(response: Response) -> bytes:
    data = await response.read_whole(MAX_REPLY)
    if data is None:
        error = BrokenReplyError(f"a reply of more than {MAX_REPLY} bytes", status=response.status)
        error.transient = False
        raise error
    return data


def _translated(error: aiohttp.ClientError | OSError, timeouts: Timeouts) -> TransportError:
    """What aiohttp raised, in the words of this package."""
    text = str(error) or type(error).__name__
    result: TransportError
    match error:
        case aiohttp.ConnectionTimeoutError():
            result = TimeoutError(f"no connection within {timeouts.connect:g} s")
        case asyncio.TimeoutError():
            result = TimeoutError(f"no data within {timeouts.read:g} s")
        case aiohttp.ClientConnectorCertificateError():
            result = ConnectError(f"no secure connection: {text}")
            result.transient = False
        case aiohttp.ClientHttpProxyError():
            result = ConnectError(f"the proxy answered with status {error.status}", status=error.status)
            result.transient = error.status in _TRANSIENT_STATUSES
        case _ if is_cut_short(error):
            result = BrokenReplyError("the reply was cut short")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            result = BrokenReplyError(f"the reply is broken: {text}")
        case _:
            result = ConnectError(f"the connection failed: {text}")
    return result
