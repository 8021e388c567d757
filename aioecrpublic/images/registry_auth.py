"""Who we are to a registry: Basic, or a token from the service that the registry names.

Source: "Token Authentication Specification" and "Token Authentication OAuth 2" of the distribution project.
"""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import attrs
import yarl

from aioecrpublic.images import jsondoc
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.registry_http import check_transient, failure, read_body
from aioecrpublic.images.registry_urls import URLError, join_url, show_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aioecrpublic.images.docker_config import RegistryCredentials
    from aioecrpublic.images.jsondoc import JSONObject
    from aioecrpublic.images.registry_headers import Challenge
    from aioecrpublic.images.registry_http import Http

_BEARER_TOKEN = re.compile(r"[!-~]+")
_OK = 200
BEARER = "bearer"
_BASIC = "basic"
_REFUSED = frozenset({400, 401, 403})
"""How token services refuse credentials; that of public.ecr.aws says 400 to a password that has expired."""
_CLIENT_ID = "aioecrpublic"
_MAX_ANSWER = 64 * 1024
"""Bytes of a token service's answer; the headers that a token is sent in are far shorter."""
_SHORTEST_LIFE = 60
"""Seconds; what a token service means that says nothing or less."""
_LONGEST_LIFE = 24 * 60 * 60
"""Seconds after which any token is fetched again."""
_USED_LIFE = 0.9
"""The part of a token's life after which another is fetched."""


def choose_challenge(challenges: list[Challenge]) -> Challenge | None:
    """Return the challenge to answer, ``None`` if there is none that can be: ``Bearer`` before ``Basic``."""
    known = {challenge.scheme: challenge for challenge in reversed(challenges)}
    return known.get(BEARER) or known.get(_BASIC)


class _RefusedError(ImageError):
    """The token service does not take the credentials."""


@attrs.frozen
class _Authorization:
    value: str = attrs.field(repr=False)
    expires: float = float("inf")
    """On the monotonic clock."""


class Authorizer:
    """The `Authorization` header for one repository of a registry, fetched when first asked for.

    Args:
        http: for requests to the token service.
        registry: the registry's URL.
        repository: the repository that is to be read.
        find_credentials: finds the credentials; called when the registry first wants any, and again when it
            refuses the found ones later, for they may be good for some hours only. None: there are none.
        name: of the source, for messages.
    """

    def __init__(
        self,
        http: Http,
        registry: yarl.URL,
        repository: str,
        find_credentials: Callable[[], Awaitable[RegistryCredentials | None]] | None,
        name: str,
    ) -> None:
        self._http = http
        self._registry = registry
        self._scope = f"repository:{repository}:pull"
        self._find_credentials = find_credentials
        self._name = name
        self._lock = asyncio.Lock()
        self._known: tuple[RegistryCredentials | None] | None = None
        self._challenge: Challenge | None = None
        self._current: _Authorization | None = None

    @property
    def challenged(self) -> bool:
        """Whether the registry has said how it wants to be told who we are."""
        return self._challenge is not None

    async def has_credentials(self) -> bool:
        """Say whether there are credentials for the registry."""
        async with self._lock:
            if self._known is None:
                self._known = (await self._find(),)
            return self._known[0] is not None

    async def current(self) -> str | None:
        """Return the header's value, None before the registry has asked for one."""
        async with self._lock:
            if self._challenge is None:
                return None
            if self._current is None or self._current.expires <= monotonic():
                self._current = await self._answer(self._challenge)
            return self._current.value

    async def renew(self, challenges: list[Challenge], refused: str | None) -> None:
        """Answer the challenges with which the registry has refused what it was sent.

        Raises:
            ImageError: there are no credentials, or they are refused.
        """
        async with self._lock:
            if self._current is not None and self._current.value != refused:
                return  # renewed meanwhile, for another request
            self._challenge = self._choose(challenges)
            self._current = await self._answer(self._challenge, refused)
            if self._current.value == refused:
                raise ImageError(f"{self._name}: the registry refuses the credentials")

    async def replace(self, used: str | None) -> bool:
        """Fetch another token than the used one; say whether there is one.

        Raises:
            ImageError: the token service gives none.
        """
        async with self._lock:
            if used is None or self._challenge is None or self._challenge.scheme != BEARER:
                return False
            if self._current is None or self._current.value == used:
                self._current = await self._answer(self._challenge)
            return True

    def _choose(self, challenges: list[Challenge]) -> Challenge:
        # One that is refused later may be refused without a word.
        chosen = choose_challenge(challenges) or self._challenge
        if chosen is None:
            asked = ", ".join(challenge.scheme for challenge in challenges) or "nothing"
            raise ImageError(f"{self._name}: the registry asks for {shown(asked)}, not for Bearer or Basic")
        return chosen

    async def _answer(self, challenge: Challenge, refused: str | None = None) -> _Authorization:
        if self._known is not None:
            (known,) = self._known
            try:
                answer = await self._identify(challenge, known)
                if answer.value != refused:
                    return answer
            except _RefusedError:
                pass  # those that are found now may be newer
        self._known = (await self._find(),)
        return await self._identify(challenge, self._known[0])

    async def _find(self) -> RegistryCredentials | None:
        return None if self._find_credentials is None else await self._find_credentials()

    async def _identify(
        self, challenge: Challenge, credentials: RegistryCredentials | None
    ) -> _Authorization:
        if challenge.scheme == BEARER:
            return await self._http.retry(
                lambda: self._fetch_token(challenge, credentials), f"{self._name}: token service"
            )
        if credentials is None or not (credentials.username or credentials.password):
            raise ImageError(
                f"{self._name}: the registry asks for user name and password, and there are none"
            )
        return _Authorization(credentials.basic)

    async def _fetch_token(
        self, challenge: Challenge, credentials: RegistryCredentials | None
    ) -> _Authorization:
        realm = self._realm(challenge)
        what = f"{self._name}: token service {show_origin(realm)}"
        asked = {
            "service": self._parameter(challenge, "service"),
            "scope": self._parameter(challenge, "scope") or self._scope,
        }
        token = credentials and credentials.identity_token
        if token:
            form = {**asked, "grant_type": "refresh_token", "client_id": _CLIENT_ID, "refresh_token": token}
            response = await self._http.send("POST", realm, headers={}, form=form, secrets=(token,))
        else:
            response = await self._http.send(
                "GET",
                _with_query(realm, asked),
                headers={},
                authorization=credentials.basic if credentials else None,
            )
        try:
            await check_transient(response)
            if response.status != _OK:
                error = _RefusedError if response.status in _REFUSED else ImageError
                raise error(f"{what}: {await failure(response)}")
            answer = await read_body(response, _MAX_ANSWER, what)
        finally:
            response.close()
        return _authorization(jsondoc.parse_object(answer, what), what)

    def _parameter(self, challenge: Challenge, name: str) -> str:
        value = challenge.parameters.get(name, "")
        if value and not value.isprintable():
            raise ImageError(f"{self._name}: the registry's challenge has no valid {name}: {shown(value)}")
        return value

    def _realm(self, challenge: Challenge) -> yarl.URL:
        """Return the URL of the token service that a challenge names.

        It may be of any host, as Docker Hub's is, for whoever answers for the registry is given its
        credentials anyhow. At least nobody on the way shall read them: it is reached by https, unless the
        registry itself is not.
        """
        realm = challenge.parameters.get("realm", "")
        if not realm.lower().startswith(("http://", "https://")):
            raise ImageError(f"{self._name}: the registry names no token service: its realm is no URL")
        try:
            return join_url(self._registry, realm)
        except URLError as error:
            raise ImageError(f"{self._name}: the registry's token service is {error}") from None


def _with_query(url: yarl.URL, parameters: Mapping[str, str]) -> yarl.URL:
    """Return a URL with parameters after its own, which stay as they are written."""
    separator = "&" if url.raw_query_string else "?"
    return yarl.URL(f"{url.with_fragment(None)}{separator}{urlencode(parameters)}", encoded=True)


def _authorization(answer: JSONObject, where: str) -> _Authorization:
    token = jsondoc.text(answer, "token", where) or jsondoc.text(answer, "access_token", where) or ""
    if _BEARER_TOKEN.fullmatch(token) is None:
        raise ImageError(f"{where}: the answer holds no token")
    life = answer.get("expires_in")
    seconds = life if isinstance(life, int | float) else _SHORTEST_LIFE
    seconds = min(max(seconds, _SHORTEST_LIFE), _LONGEST_LIFE)
    return _Authorization(f"Bearer {token}", monotonic() + seconds * _USED_LIFE)
