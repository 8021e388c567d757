"""The token that Docker clients log in with: fetched when first needed, renewed before it expires."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import attrs

from aioecrpublic._common.logs import get_logger
from aioecrpublic._runtime.errors import BrokenReplyError, ServiceError, TransportError

if TYPE_CHECKING:
    from aioecrpublic._generated.types import AuthorizationData
    from aioecrpublic.client import ECRPublicClient

_log = get_logger("aioecrpublic.manage")

TOKEN_REGION = "us-east-1"  # noqa: S105 - where tokens are given, not one of them
"""The only region that gives tokens (Amazon ECR Public user guide, "Registry authentication")."""
LIFE = dt.timedelta(hours=12)
"""How long a token is good for (Amazon ECR Public user guide, "Registry authentication")."""
_AHEAD = dt.timedelta(hours=1)
"""How long before its end a token is renewed, so that a long pull that begins with it does not outlive it."""


@attrs.frozen(kw_only=True)
class RegistryToken:
    """User name and password for ``public.ecr.aws``.

    Attributes:
        username: The user name, ``AWS``.
        password: The password; never shown by ``repr``.
        expires_at: When the password stops being good.
    """

    username: str
    password: str = attrs.field(repr=False)
    expires_at: dt.datetime

    def basic(self) -> str:
        """Both in the form of docker's ``auth``: base64 of ``USER:PASSWORD``."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@attrs.define
class _Cached:
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    token: RegistryToken | None = None
    renew_at: dt.datetime | None = None


_cache: WeakKeyDictionary[object, _Cached] = WeakKeyDictionary()


async def registry_token(client: ECRPublicClient) -> RegistryToken:
    """User name and password for ``public.ecr.aws``, good for at least the next minutes.

    A token is kept for as long as the client is, and renewed an hour before its 12 are over. However many
    ask at once, it is fetched once. While it cannot be renewed, a token that is still good is handed out.

    Args:
        client: An open client of us-east-1, the only region that gives tokens.

    Raises:
        UnsupportedCommandException: The client is of another region.
        ServiceError: The service refuses it.
        TransportError: The service does not answer, or not with a token.
    """
    cached = _cache.setdefault(client, _Cached())
    async with cached.lock:
        # This machine's clock may be slow, and the service's time does not count while the machine sleeps. Of
        # the two the later one: to renew too early costs a call, too late a pull.
        now = max(_now(), client.service_time() or _now())
        if cached.token is None or cached.renew_at is None or now >= cached.renew_at:
            try:
                cached.token = await _fetch(client, now)
            except (ServiceError, TransportError) as error:
                if cached.token is None or now >= cached.token.expires_at:
                    raise
                _log.warning("the registry token is kept, for it could not be renewed: %s", error)
                return cached.token
            # A token that lives shorter than usual is renewed in the last tenth of its life.
            life = cached.token.expires_at - now
            cached.renew_at = cached.token.expires_at - min(_AHEAD, life / 10)
        return cached.token


async def _fetch(client: ECRPublicClient, now: dt.datetime) -> RegistryToken:
    data = (await client.get_authorization_token()).authorization_data
    if data is None or not data.authorization_token:
        raise BrokenReplyError("GetAuthorizationToken: the answer holds no token")
    return _parse(data, data.authorization_token, now)


def _parse(data: AuthorizationData, encoded: str, now: dt.datetime) -> RegistryToken:
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        colon = username = password = ""
    if not colon or not password:
        # Not shown: it may be half a secret.
        raise BrokenReplyError("GetAuthorizationToken: the token is not base64 of USER:PASSWORD")
    return RegistryToken(username=username, password=password, expires_at=data.expires_at or now + LIFE)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
