"""What the HTTP client's errors must not show: requests' headers, and what is secret in their URLs."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Final

import aiohttp
import yarl
from multidict import CIMultiDict, CIMultiDictProxy

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_HEADERS: Final = ("Authorization", "Proxy-Authorization", "X-Amz-Security-Token")
_MASK: Final = "***"
_MIN_LENGTH: Final = 6


def hide_secrets(
    error: BaseException, url: yarl.URL, headers: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> None:
    """Take out of an error, and of all that it came from, what nobody but the peer may see.

    That is the query of a URL, which may be signed, its user and password, and the values of the headers that
    identify us, which a peer may have sent back.

    Args:
        error: What aiohttp has raised; it is changed.
        url: Where the request went.
        headers: The headers it had.
        secrets: What else was secret in it.
    """
    hidden = _hidden(url, headers, secrets)
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            pending += [one.__cause__, one.__context__]
            _clean(one, hidden)


def hide_in_text(text: str, url: yarl.URL, headers: Mapping[str, str], secrets: tuple[str, ...] = ()) -> str:
    """Return what a peer says to a request, without the secrets of it that it may have sent back.

    Args:
        text: What it says.
        url: Where the request went.
        headers: The headers it had.
        secrets: What else was secret in it.
    """
    return str(_cleaned(text, _hidden(url, headers, secrets)))


def _hidden(url: yarl.URL, headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Return the secrets of a request, and what to show in place of each."""
    for name in _SECRET_HEADERS:
        value = headers.get(name, "")
        secrets += (value, value.rpartition(" ")[2], value.rpartition("Signature=")[2], _password(value))
    masked = {secret: _MASK for secret in secrets if len(secret) >= _MIN_LENGTH}
    return {str(url): str(_plain(url)), **masked}


def _password(authorization: str) -> str:
    """Return the password that a ``Basic`` authorization holds, nothing if it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme != "Basic":
        return ""
    with contextlib.suppress(ValueError):
        return base64.b64decode(encoded).decode().partition(":")[2]
    return ""


def _clean(error: BaseException, hidden: Mapping[str, str]) -> None:
    # The attributes of an OSError are not in its dictionary.
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        error.strerror = str(_cleaned(error.strerror, hidden))
    for name, value in vars(error).items():
        setattr(error, name, _cleaned(value, hidden))
    if isinstance(error, aiohttp.ClientResponseError):
        # Those of the reply: a redirection's target may be signed, a cookie is somebody's.
        error.headers = None
    error.args = tuple(_cleaned(value, hidden) for value in error.args)


def _cleaned(value: object, hidden: Mapping[str, str]) -> object:
    match value:
        case str():
            for secret, shown in hidden.items():
                value = value.replace(secret, shown)
            return value
        case yarl.URL():
            return _plain(value)
        case aiohttp.RequestInfo():
            url = _plain(value.real_url)
            return aiohttp.RequestInfo(url, value.method, CIMultiDictProxy(CIMultiDict[str]()), url)
    return value


def _plain(url: yarl.URL) -> yarl.URL:
    """Return a URL without user, password, query and fragment."""
    return url.with_user(None).with_query(None).with_fragment(None)
