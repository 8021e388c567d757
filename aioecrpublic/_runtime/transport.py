"""One HTTP exchange on aiohttp: a body out, a whole reply in, or a ``TransportError``."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import aiohttp
import attrs
import yarl
from aiohttp import payload
from multidict import CIMultiDict, CIMultiDictProxy

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

    from aiohttp.abc import AbstractStreamWriter

    from aioecrpublic._runtime.body import Body

# The largest modelled reply is a page of 1 000 descriptions, far below this.
MAX_REPLY = 32 * 1024 * 1024
_NOT_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})


@attrs.frozen
class Reply:
    """An HTTP reply, read whole."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@attrs.frozen
class Timeouts:
    """Seconds: for a connection to be made, and for the peer to take or give the next bytes."""

    connect: float
    read: float
    client: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)

    @client.default
    def _client(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=None, sock_connect=self.connect, sock_read=self.read)


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
        # A peer that stops reading would hold the write for ever.
        try:
            async with asyncio.timeout(self._stall):
                await writer.write(piece)
        except asyncio.TimeoutError as error:  # noqa: UP041 - the builtin's name is taken by ours in this module
            self.failure = TimeoutError(f"the service took no data within {self._stall:g} s")
            raise self.failure from error


class _Settings(TypedDict, total=False):
    proxy: yarl.URL
    skip_auto_headers: tuple[str, ...]
    raise_for_status: bool
    auto_decompress: bool


class Transport:
    """A connection pool, or the user's.

    Args:
        session: The user's own session, which is never closed here; ``None`` makes one.
        max_connections: The pool's size.
        ca_bundle: A file of trusted certificates instead of the system's.
        proxy: The proxy to go through.
        executor: Worker threads for reading certificates.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        ca_bundle: str | None,
        proxy: str | None,
        executor: Executor,
    ) -> None:
        self._given = session is not None
        self._session = session
        self._max_connections = max_connections
        self._ca_bundle = ca_bundle
        self._settings: _Settings = {}
        if proxy is not None:
            self._settings["proxy"] = yarl.URL(proxy)
        if self._given:
            # What a session of the user's may have been told to do is told otherwise.
            self._settings |= {
                "skip_auto_headers": _NOT_OURS,
                "raise_for_status": False,
                "auto_decompress": True,
            }
        self._executor = executor
        # A single thread encodes faster than most networks are. Four took a fifth more CPU time for a whole
        # push: glibc gives every thread a heap of its own, and what one of them allocates and the event loop
        # frees is returned to the system and faulted in again, slice after slice.
        self._encoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aioecrpublic-wire")

    async def open(self, *, tls: bool) -> None:
        """Make the pool; reading the system's certificates happens in a worker thread."""
        if self._given:
            return
        context: ssl.SSLContext | bool = True
        if tls:
            context = await in_thread(self._executor, trust, self._ca_bundle)
        connector = aiohttp.TCPConnector(limit=self._max_connections, ssl=context)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_OURS,
        )

    async def close(self) -> None:
        """Close the pool, unless it is the user's."""
        self._encoder.shutdown(wait=False)
        if self._session is not None and not self._given:
            await self._session.close()

    async def send(self, url: yarl.URL, headers: Mapping[str, str], body: Body, timeouts: Timeouts) -> Reply:
        """Post ``body``.

        Raises:
            ConnectError: No connection, or it broke.
            TimeoutError: Nothing happened for too long.
            BrokenReplyError: The reply was cut short or is far too large.
            ClientStateError: The pool is closed.
        """
        session = self._session
        if session is None or session.closed:
            raise ClientStateError("the client's connections are closed")
        content = body.content
        whole = content is not None and len(content) <= SMALL_BODY
        slice_size = TLS_SLICE if url.scheme == "https" else SLICE
        streamed = None if whole else _StreamedBody(body, self._encoder, timeouts.read, slice_size)
        try:
            response = await session.post(
                url,
                data=content if streamed is None else streamed,
                headers=headers,
                allow_redirects=False,
                timeout=timeouts.client,
                **self._settings,
            )
            try:
                return Reply(response.status, response.headers, await _read(response))
            finally:
                # Reading it whole gave the connection back; after anything less it is of no use.
                response.close()
        except (aiohttp.ClientError, OSError) as error:
            if streamed is not None and streamed.failure is not None:
                raise streamed.failure from None
            if isinstance(error, aiohttp.ClientResponseError):
                _forget_secrets(error)
            raise _translated(error, timeouts) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is not None and length <= MAX_REPLY and "Content-Encoding" not in response.headers:
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > MAX_REPLY:
            raise _too_large(response.status)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(status: int) -> BrokenReplyError:
    error = BrokenReplyError(f"a reply of more than {MAX_REPLY} bytes", status=status)
    error.transient = False
    return error


def _forget_secrets(error: aiohttp.ClientResponseError) -> None:
    """Take the request's headers and the proxy's password out of what the error shows of itself."""
    url = error.request_info.real_url.with_user(None)
    headers: CIMultiDict[str] = CIMultiDict()
    error.request_info = aiohttp.RequestInfo(url, error.request_info.method, CIMultiDictProxy(headers), url)
    error.args = (error.request_info, error.history)


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
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            result = BrokenReplyError(f"the reply is broken: {text}")
        case _:
            result = ConnectError(f"the connection failed: {text}")
    return result


def trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Whom to trust: the given file, or the system, or botocore's list where the system has none; blocks.

    Raises:
        ConfigurationError: The file cannot be read as certificates.
    """
    chosen = ca_bundle or (None if _system_trusts_anyone() else _botocore_bundle())
    try:
        return ssl.create_default_context(cafile=chosen)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"CA bundle {chosen!r} cannot be used: {error}") from error


def _system_trusts_anyone() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return True
    # Certificates in a folder are read when they are needed, so the context cannot count them.
    return bool(paths.capath) and any(Path(paths.capath).iterdir())


def _botocore_bundle() -> str | None:
    found = importlib.util.find_spec("botocore")
    if found is None or found.origin is None:
        return None
    bundle = Path(found.origin).with_name("cacert.pem")
    return str(bundle) if bundle.exists() else None
