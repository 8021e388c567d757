"""Requests to a registry: redirects, retries and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from asyncio import sleep
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import attrs

from aioecrpublic._common.dates import retry_after_seconds
from aioecrpublic._common.http import Connections
from aioecrpublic._common.logs import get_logger
from aioecrpublic._common.proxy import Proxy, ProxyError, find_proxy
from aioecrpublic._common.tls import CABundle, CABundleError, client_context
from aioecrpublic.images import jsondoc
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.registry_headers import check_encodings
from aioecrpublic.images.registry_urls import URLError, join_url, origin_of, show_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import yarl

    from aioecrpublic._common.http import Response, Settings, Timeouts

T = TypeVar("T")

_log = get_logger("aioecrpublic.images")

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_MAX_ERROR = 16 * 1024
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
_LONGEST_WAIT = 120.0
"""Seconds that the attempts of one request wait together because the registry asks for it."""
_ERROR_TIME = 5.0
"""Seconds that the words of an error may take to come."""

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
        elsewhere: Callable[[yarl.URL], Awaitable[str | None]] | None = None,
        form: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Response:
        """Send one request, follow its redirects, and return the response unread.

        Args:
            method: The method.
            url: Where to.
            headers: The headers, wherever the request is redirected to.
            authorization: For the origin of ``url`` alone: blob stores get none, and neither does anything
                that is reached through another host.
            elsewhere: Finds the authorization for another host that the request is redirected to.
            form: What to post; then no redirect is followed.
            secrets: What no error is to show, besides what is secret in the headers.

        Raises:
            ImageError: A redirect leads nowhere, in circles or from https to http, or the user's session is
                closed.
        """
        origin = origin_of(url)
        left = False
        for _ in range(MAX_REDIRECTS + 1):
            if self.connections.closed:
                raise ImageError(f"{show_origin(url)}: the session is closed")
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
                secrets=secrets,
                repeatable=form is None,
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or form is not None:
                return response
            response.close()
            url = _redirected(url, location)
            left = left or origin_of(url) != origin
            if left:
                authorization = None if elsewhere is None else await elsewhere(url)
        raise ImageError(f"{show_origin(url)}: more than {MAX_REDIRECTS} redirects")

    async def is_answered(self, url: yarl.URL) -> bool:
        """Say whether a server answers there, whatever it does; it is asked once."""
        try:
            response = await self.send("GET", join_url(url, "/v2/"), headers={})
        except NETWORK_ERRORS:
            return False
        response.close()
        return True

    async def retry(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        """Do something until it goes well.

        Args:
            work: Raises ``TransientError`` or one of aiohttp's errors if it is worth another attempt.
            what: For messages.

        Raises:
            ImageError: It has failed every time, or the registry asks to wait for too long; the message says
                how the last attempt has failed.
        """
        waited = 0.0
        for attempt in range(1, self.max_attempts + 1):
            try:
                return await work()
            except (TransientError, *NETWORK_ERRORS) as error:
                asked = error.wait if isinstance(error, TransientError) else 0.0
                facts = f"{attempt} attempts"
                if waited:
                    facts += f", waited {waited:.0f} s as asked for"
                if waited + asked > _LONGEST_WAIT:
                    facts += f", not waiting {asked:.0f} s more"
                problem = f"{what}: {describe(error)}"
                final = attempt == self.max_attempts or isinstance(
                    error, aiohttp.ClientConnectorCertificateError
                )
                if final or waited + asked > _LONGEST_WAIT:
                    raise ImageError(f"{problem} ({facts})") from error
                _log.debug("%s (attempt %d of %d)", problem, attempt, self.max_attempts)
            waited += asked
            await sleep(max(asked, backoff(attempt)))
        raise ImageError(f"{what}: not attempted")


async def open_connections(
    what: str, ca_file: str | os.PathLike[str] | None = None, *, verify: bool = True
) -> Connections:
    """Return connections of one's own.

    Args:
        what: For messages.
        ca_file: The certificates to trust; ``None`` is whom the environment names (see ``_common.tls``).
        verify: Whether certificates are looked at.

    Raises:
        ImageError: The trusted certificates cannot be read.
    """
    if not verify:
        return Connections.open(await asyncio.to_thread(_unverified_context))
    try:
        bundle = None if ca_file is None else CABundle(os.fspath(ca_file), "ca_file")
        return Connections.open(await asyncio.to_thread(client_context, bundle))
    except CABundleError as error:
        raise ImageError(f"{what}: {error}") from error


def _unverified_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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


async def check_transient(response: Response) -> None:
    """Check that a response's status is not one that another attempt may change.

    Raises:
        TransientError: It is; the response is done with.
    """
    if response.status in _TRANSIENT_STATUSES:
        raise TransientError(await failure(response), retry_after_seconds(response.headers) or 0.0)


async def failure(response: Response) -> str:
    """Return what an error response says, and be done with it."""
    try:
        async with asyncio.timeout(_ERROR_TIME):
            body = await read_body(response, _MAX_ERROR, "error")
        document = jsondoc.parse_object(body, "error")
        first = jsondoc.as_object((jsondoc.items(document, "errors", "error") or [None])[0], "error")
        said = jsondoc.text(first, "message", "error") or jsondoc.text(first, "code", "error")
    except (ImageError, *NETWORK_ERRORS):
        said = None
    finally:
        response.close()
    status = f"{response.status} {response.reason or ''}".strip()
    return response.hide_secrets(f"{status}: {shown(said)[1:-1]}" if said else status)


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
