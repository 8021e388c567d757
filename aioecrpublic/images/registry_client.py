"""Requests for one repository of a registry, authorised as it asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.registry_auth import BEARER, Authorizer, choose_challenge
from aioecrpublic.images.registry_headers import parse_challenges
from aioecrpublic.images.registry_http import check_transient, failure, read_body
from aioecrpublic.images.registry_urls import URLError, join_url, origin_of, show_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import yarl
    from multidict import CIMultiDictProxy

    from aioecrpublic._common.http import Response
    from aioecrpublic.images.docker_config import RegistryCredentials
    from aioecrpublic.images.registry_headers import Challenge
    from aioecrpublic.images.registry_http import Http
    from aioecrpublic.images.registry_urls import Origin

_OK: Final = 200
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_HIDDEN: Final = frozenset({_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND})
"""What a registry answers strangers that may not know of a repository."""
_MAX_OTHERS: Final = 4
"""Other registries that one may redirect to."""


@attrs.frozen
class Reply:
    """A reply, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class RegistryClient:
    """Requests for one repository of a registry.

    Who learns what:

    * The registry, which is one origin, is sent what its challenge asks for: the credentials by ``Basic``, or
      a token by ``Bearer``. The token service that the challenge names is sent the credentials; it may be of
      any host, but is reached by https, unless the registry itself is not.
    * Whoever the registry redirects to is sent neither. If it is a registry too, as ``registry.k8s.io`` leads
      to ``pkg.dev``, and asks for a token, an anonymous one is fetched from the service that it names, by the
      same rule, and is sent to it alone.

    Args:
        http: Sends the requests.
        base: The repository's URL: that of the registry, ``/v2/`` and the name.
        repository: The repository.
        find_credentials: Finds the credentials, when the registry first wants any.
        name: Of the source, for messages.
    """

    def __init__(
        self,
        http: Http,
        base: yarl.URL,
        repository: str,
        find_credentials: Callable[[], Awaitable[RegistryCredentials | None]],
        name: str,
    ) -> None:
        self._http = http
        self._base = base
        self._repository = repository
        self._name = name
        self._authorizer = Authorizer(http, base, repository, find_credentials, name)
        self._others: dict[Origin, Authorizer] = {}
        self._looking = asyncio.Lock()
        self._looked = False

    async def fetch(self, path: str, what: str, *, limit: int, accept: str) -> Reply:
        """Return the reply to a GET, read whole; it is good or 404.

        Raises:
            ImageError: The registry fails, refuses, or sends more than ``limit`` bytes.
        """

        async def attempt() -> Reply:
            response = await self._send("GET", path, {"Accept": accept})
            try:
                await check_transient(response)
                if response.status not in {_OK, _NOT_FOUND}:
                    raise ImageError(f"{what}: {await failure(response)}")
                body = await read_body(response, limit, what) if response.status == _OK else b""
                return Reply(response.status, response.headers, body)
            finally:
                response.close()

        return await self._http.retry(attempt, what)

    async def head(self, path: str, what: str) -> Reply:
        """Return the reply to a HEAD, of any status.

        It is asked as who we are known to be, and no challenge is answered: registries refuse a HEAD that
        would be good as a GET, and another token does not change that.

        Raises:
            ImageError: There is no reply.
        """

        async def attempt() -> Reply:
            response = await self._http.send(
                "HEAD", self._url(path), headers={}, authorization=await self._authorizer.current()
            )
            response.close()
            return Reply(response.status, response.headers, b"")

        return await self._http.retry(attempt, what)

    async def stream(self, path: str, what: str, headers: Mapping[str, str]) -> Response:
        """Return the unread response to a GET, of any status that is final.

        Raises:
            ImageError: The registry fails or refuses.
        """

        async def attempt() -> Response:
            response = await self._send("GET", path, headers)
            await check_transient(response)
            return response

        return await self._http.retry(attempt, what)

    async def _send(self, method: str, path: str, headers: Mapping[str, str]) -> Response:
        """Send a request, and again as often as somebody on its way asks for the first time who we are."""
        url = self._url(path)
        answered: set[Origin] = set()
        while True:
            sent = {origin_of(url): await self._authorizer.current()}

            async def elsewhere(target: yarl.URL, sent: dict[Origin, str | None] = sent) -> str | None:
                other = self._others.get(origin_of(target))
                sent[origin_of(target)] = None if other is None else await other.current()
                return sent[origin_of(target)]

            response = await self._http.send(
                method, url, headers=headers, authorization=sent[origin_of(url)], elsewhere=elsewhere
            )
            origin = origin_of(response.url)
            try:
                again = origin not in answered and await self._identified(response, sent[origin])
            except BaseException:
                response.close()
                raise
            if not again:
                return response
            response.close()
            answered.add(origin)

    def _url(self, path: str) -> yarl.URL:
        try:
            url = join_url(self._base, path)
        except URLError as error:
            raise ImageError(f"{show_origin(self._base)}: the registry refers to {error}") from None
        if origin_of(url) != origin_of(self._base):
            raise ImageError(
                f"{show_origin(self._base)}: the registry refers to another host for its own answers"
            )
        return url

    async def _identified(self, response: Response, sent: str | None) -> bool:
        """Say whether something was learned from a response that makes it worth to ask again.

        Args:
            response: The response.
            sent: The authorization that was sent for it.
        """
        challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
        challenge = choose_challenge(challenges)
        if origin_of(response.url) != origin_of(self._base):
            if response.status != _UNAUTHORIZED or challenge is None or challenge.scheme != BEARER:
                return False
            return await self._identified_elsewhere(response.url, challenges, sent)
        if sent is None and response.status == _OK:
            # What is missing later is not hidden from strangers.
            self._looked = True
        if response.status == _BAD_REQUEST:
            # How public.ecr.aws says that a token has expired: without a challenge.
            return await self._authorizer.replace(sent)
        hidden = sent is None and challenge is None and response.status in _HIDDEN
        if hidden and await self._look_for_challenge():
            return True
        if response.status == _UNAUTHORIZED:
            await self._authorizer.renew(challenges, sent)
            return True
        return False

    async def _look_for_challenge(self) -> bool:
        """Ask the registry at ``/v2/`` how to identify, once; say whether there is now a way to.

        Some challenge nowhere else, and say to strangers that a private repository does not exist. Docker,
        skopeo and others ask there before anything else.
        """
        async with self._looking:
            if not self._looked and await self._authorizer.has_credentials():
                response = await self._http.send("GET", self._url("/v2/"), headers={})
                try:
                    await check_transient(response)
                    self._looked = True
                    challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
                    own = origin_of(response.url) == origin_of(self._base)
                    if own and response.status == _UNAUTHORIZED and choose_challenge(challenges) is not None:
                        await self._authorizer.renew(challenges, None)
                finally:
                    response.close()
            return self._authorizer.challenged

    async def _identified_elsewhere(
        self, url: yarl.URL, challenges: list[Challenge], sent: str | None
    ) -> bool:
        """Fetch an anonymous token for another registry; say whether there is one."""
        other = self._others.get(origin_of(url))
        if other is None:
            if len(self._others) == _MAX_OTHERS:
                return False
            other = Authorizer(self._http, url, self._repository, None, self._name)
            self._others[origin_of(url)] = other
        await other.renew(challenges, sent)
        return True
