"""One HTTP exchange on aiohttp: a body out, a whole reply in, or a ``TransportError``."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import aiohttp
import attrs
from aiohttp import payload

from aioecrpublic._base import ECRPublicError
from aioecrpublic._runtime.errors import (
    BrokenReplyError,
    ClientStateError,
    ConfigurationError,
    ConnectError,
    TimeoutError,  # noqa: A004 - the package's own, a subclass of the builtin
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Executor

    from aiohttp.abc import AbstractStreamWriter

    from aioecrpublic._runtime.body import Body

# The largest modelled reply is a page of 1 000 descriptions, far below this.
MAX_REPLY = 32 * 1024 * 1024
_NOT_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


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


class _StreamedBody(payload.Payload):
    """A body whose blobs are encoded while they are sent."""

    def __init__(self, body: Body, executor: Executor, stall: float) -> None:
        super().__init__(body)
        self._body = body
        self._executor = executor
        self._stall = stall
        self._size = body.length

    async def write(self, writer: AbstractStreamWriter) -> None:
        async with contextlib.aclosing(self._body.stream(self._executor)) as pieces:
            async for piece in pieces:
                # A peer that stops reading would hold the write for ever.
                async with asyncio.timeout(self._stall):
                    await writer.write(piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.read().decode(encoding, errors)


class Transport:
    """A connection pool, or the user's.

    Args:
        session: The user's own session, which is never closed here; ``None`` makes one.
        max_connections: The pool's size.
        ca_bundle: A file of trusted certificates instead of the system's.
        proxy: The proxy to go through.
        executor: Worker threads for encoding and for reading certificates.
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
        self._proxy = proxy
        self._executor = executor

    async def open(self, *, tls: bool) -> None:
        """Make the pool; reading the system's certificates happens in a worker thread."""
        if self._given:
            return
        context: ssl.SSLContext | bool = True
        if tls:
            loop = asyncio.get_running_loop()
            context = await loop.run_in_executor(self._executor, trust, self._ca_bundle)
        connector = aiohttp.TCPConnector(limit=self._max_connections, ssl=context)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_OURS,
        )

    async def close(self) -> None:
        """Close the pool, unless it is the user's."""
        if self._session is not None and not self._given:
            await self._session.close()

    async def send(self, url: str, headers: Mapping[str, str], body: Body, timeouts: Timeouts) -> Reply:
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
        data = _StreamedBody(body, self._executor, timeouts.read) if content is None else content
        with _translated(timeouts):
            async with session.post(
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=timeouts.connect, sock_read=timeouts.read
                ),
            ) as response:
                return Reply(response.status, response.headers, await _read(response))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is not None and length <= MAX_REPLY:
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > MAX_REPLY:
            raise BrokenReplyError(f"a reply of more than {MAX_REPLY} bytes", status=response.status)
        pieces.append(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _translated(timeouts: Timeouts) -> Iterator[None]:
    """aiohttp's errors as ours, the original as their cause."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise TimeoutError(f"no connection within {timeouts.connect:g} s") from error
    except asyncio.TimeoutError as error:  # noqa: UP041 - the builtin's name is taken by ours in this module
        raise TimeoutError(f"no data within {timeouts.read:g} s") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        refused = ConnectError(f"no secure connection: {error}")
        refused.transient = False
        raise refused from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise BrokenReplyError(f"the reply is broken: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error.__cause__, ECRPublicError):
            # The body could not be read while it was sent: its own error says it better.
            raise error.__cause__ from error
        raise ConnectError(f"the connection failed: {error or type(error).__name__}") from error


def trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Whom to trust: the given file, or the system; blocks.

    Raises:
        ConfigurationError: The file cannot be read as certificates.
    """
    from aioecrpublic._runtime.errors import ConfigurationError

    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"CA bundle {ca_bundle!r} cannot be used: {error}") from error
