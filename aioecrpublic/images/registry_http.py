"""Requests to a registry: redirects, retries and what goes wrong."""

from __future__ import annotations

import asyncio
import logging
import random
from asyncio import sleep
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import attrs

from aioecrpublic._common.dates import retry_after_seconds
from aioecrpublic._common.http import Connections
from aioecrpublic._common.proxy import Proxy, ProxyError, find_proxy
from aioecrpublic._common.tls import CABundleError, client_context
from aioecrpublic.images import jsondoc
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.registry_headers import check_encodings
from aioecrpublic.images.registry_urls import URLError, join_url, origin_of, show_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import yarl

    from aioecrpublic._common.http import Response, Settings, Timeouts

T = TypeVar("T")

_log = logging.getLogger("aioecrpublic.images")

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_MAX_ERROR = 16 * 1024
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
_LONGEST_WAIT = 60.0
"""Seconds; a longer `Retry-After` is taken for this."""

_SETTINGS: Settings = {"auto_decompress": False}

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


class TransientError(Exception):
    """Something that may go well the next time."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        """`wait` is how many seconds the server asks for at least."""
        super().__init__(message)
        self.wait = wait


@attrs.frozen
class Http:
    """How to reach a registry and what it refers to."""

    connections: Connections
    timeouts: Timeouts
    max_attempts: int
    use_proxies: bool
    """Whether the environment's proxy settings count, for other machines than this."""

    async def send(
        self,
        method: str,
        url: yarl.URL,
        *,
        headers: Mapping[str, str],
        authorization: str | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request, follow its redirects, and return the response unread.

        The authorization is for the origin of `url` alone: blob stores get none, and neither does anything
        that is reached through another host.

        Raises:
            ImageError: a redirect leads nowhere, in circles or from https to http.
        """
        origin = origin_of(url)
        for _ in range(MAX_REDIRECTS + 1):
            sent = {"Accept-Encoding": "identity", **headers}
            if authorization is not None:
                sent["Authorization"] = authorization
            response = await self.connections.request(
                method,
                url,
                self.timeouts,
                headers=sent,
                body=form,
                proxy=_proxy(url) if self.use_proxies else None,
                settings=_SETTINGS,
                repeatable=form is None,
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or form is not None:
                return response
            response.close()
            url = _redirected(url, location)
            if origin_of(url) != origin:
                authorization = None
        raise ImageError(f"{show_origin(url)}: more than {MAX_REDIRECTS} redirects")

    async def retry(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        """Do something until it goes well.

        Args:
            work: raises `TransientError` or one of aiohttp's errors if it is worth another attempt.
            what: for messages.

        Raises:
            ImageError: it has failed every time; the message says how the last one did.
        """
        for attempt in range(1, self.max_attempts + 1):
            try:
                return await work()
            except (TransientError, *NETWORK_ERRORS) as error:
                problem = describe(error)
                if attempt == self.max_attempts:
                    raise ImageError(f"{what}: {problem} ({attempt} attempts)") from error
                wait = error.wait if isinstance(error, TransientError) else 0.0
                _log.debug("%s: %s; attempt %d of %d", what, problem, attempt, self.max_attempts)
            await sleep(max(wait, backoff(attempt)))
        raise ImageError(f"{what}: not attempted")


async def open_connections(what: str) -> Connections:
    """Return connections of one's own, which trust whom the environment names (see `_common.tls`).

    Raises:
        ImageError: the trusted certificates cannot be read; `what` is for the message.
    """
    try:
        return Connections.open(await asyncio.to_thread(client_context))
    except CABundleError as error:
        raise ImageError(f"{what}: {error}") from error


def backoff(attempt: int) -> float:
    """Return the seconds to wait after the first, second, … failure: doubling, with jitter."""
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (attempt - 1))) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def describe(error: BaseException) -> str:
    """Say in a few words what went wrong; never with a URL, whose query may hold a signature."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, TransientError | aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def check_transient(response: Response) -> None:
    """Check that a response's status is not one that another attempt may change.

    Raises:
        TransientError: it is; the response is done with.
    """
    if response.status in _TRANSIENT_STATUSES:
        response.close()
        wait = min(retry_after_seconds(response.headers) or 0.0, _LONGEST_WAIT)
        raise TransientError(f"{response.status} {response.reason}", wait)


async def failure(response: Response) -> str:
    """Return what an error response says, and be done with it."""
    try:
        body = await read_body(response, _MAX_ERROR, "error")
        document = jsondoc.parse_object(body, "error")
        first = jsondoc.as_object((jsondoc.items(document, "errors", "error") or [None])[0], "error")
        said = jsondoc.text(first, "message", "error") or jsondoc.text(first, "code", "error")
    except (ImageError, *NETWORK_ERRORS):
        said = None
    finally:
        response.close()
    status = f"{response.status} {response.reason or ''}".strip()
    return f"{status}: {shown(said)[1:-1]}" if said else status


async def read_body(response: Response, limit: int, what: str) -> bytes:
    """Read a body of at most `limit` bytes.

    Raises:
        ImageError: it is longer, or compressed although that was not asked for.
    """
    try:
        check_encodings(response.headers, what)
    except ImageError:
        response.close()
        raise
    body = await response.read_whole(limit)
    if body is None:
        response.close()
        raise ImageError(f"{what}: more than {limit} bytes")
    return body


def _redirected(url: yarl.URL, location: str) -> yarl.URL:
    try:
        return join_url(url, location)
    except URLError as error:
        raise ImageError(f"{show_origin(url)}: redirected to {error}, which is not followed") from None


def _proxy(url: yarl.URL) -> Proxy | None:
    try:
        return find_proxy(url)
    except ProxyError as error:
        raise ImageError(str(error)) from error
