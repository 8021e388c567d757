"""Who asks: the tokens of the registry API.

``public.ecr.aws`` wants a bearer token for everything, and gives one to anybody for pulling.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.local.accounts import REGISTRY_HOST
from aioecrpublic.local.operations.policies import check_allowed
from aioecrpublic.local.state import TOKEN_LIFETIME, TokenExpiredError
from aioecrpublic.local.v2.errors import V2Error

if TYPE_CHECKING:
    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.state import State

ANYBODY: Final = "anybody"
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+")


class Access:
    """Gives and checks tokens.

    Args:
        state: The registry.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def token(self, request: web.BaseRequest) -> web.Response:
        """The reply to ``GET /token/``: a token for whom the Basic credentials name, or for anybody.

        Raises:
            V2Error: The credentials are no good.
        """
        account = self._account(request) or ANYBODY
        token, expires = self._state.new_token(account)
        answer = {
            "token": token,
            "access_token": token,
            "expires_in": int(TOKEN_LIFETIME.total_seconds()),
            "issued_at": (expires - TOKEN_LIFETIME).isoformat().replace("+00:00", "Z"),
        }
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

    def account(self, request: web.BaseRequest) -> str:
        """The account that a request is for, or ``ANYBODY``.

        Raises:
            V2Error: It has no token, or one that is no good.
        """
        account = self._account(request)
        if account is None:
            raise self._challenge(request)
        return account

    def check_may(
        self, request: web.BaseRequest, cursor: Cursor, account: str, operation: str, name: str
    ) -> None:
        """Refuse an account that the API would refuse ``operation``.

        Raises:
            V2Error: It may not do this.
        """
        if account == ANYBODY:
            raise self._challenge(request)
        try:
            check_allowed(cursor, account, operation, name)
        except ServiceError as error:
            raise V2Error(403, "DENIED", error.message) from error

    def _account(self, request: web.BaseRequest) -> str | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        try:
            account = self._state.account_of_token(_token(scheme, value.strip()))
        except TokenExpiredError:
            message = "Your authorization token has expired. Reauthenticate and try again."
            raise V2Error(400, "DENIED", message) from None
        if account is None:
            raise self._challenge(request)
        return account

    def _challenge(self, request: web.BaseRequest) -> V2Error:
        # Where the client found the registry it finds the tokens too; what is no host is not repeated.
        base = f"http://{request.host}" if _HOST.fullmatch(request.host) else self._state.base_url()
        challenge = f'Bearer realm="{base}/token/",service="{REGISTRY_HOST}",scope="aws"'
        return V2Error(401, "UNAUTHORIZED", "Not Authorized", {"WWW-Authenticate": challenge})


def _token(scheme: str, value: str) -> str:
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return ""
        return password if user == "AWS" else ""
    return ""
