"""Taking secrets out of errors and texts, wherever a peer or a library has put them."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Final

import aiohttp
import yarl
from multidict import CIMultiDict, CIMultiDictProxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SECRET_HEADERS: Final = ("Authorization", "Proxy-Authorization", "X-Amz-Security-Token")
_MASK: Final = "***"
# What is shorter may be anywhere by chance.
_MIN_LENGTH: Final = 6


class Mask:
    """What must not be seen.

    Args:
        secrets: Texts to be replaced by ``***``; short ones are left alone.
        url: A URL to be shown without its user, password, query and fragment.
    """

    def __init__(self, secrets: Iterable[str], url: yarl.URL | None = None) -> None:
        self._shown = {secret: _MASK for secret in secrets if len(secret) >= _MIN_LENGTH}
        if url is not None:
            self._shown[str(url)] = str(_plain(url))

    @classmethod
    def of_request(
        cls, headers: Mapping[str, str], url: yarl.URL | None = None, secrets: tuple[str, ...] = ()
    ) -> Mask:
        """Return the mask for what a request has shown its peer, which may send it back.

        Args:
            headers: The headers it had, some of which say who we are.
            url: Where it went; a URL may be signed.
            secrets: What else was secret in it.
        """
        for name in _SECRET_HEADERS:
            value = headers.get(name, "")
            # A peer may send back a part of it.
            secrets += (value, value.rpartition(" ")[2], value.rpartition("Signature=")[2], _password(value))
        return cls(secrets, url)

    def text(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for secret, shown in self._shown.items():
            text = text.replace(secret, shown)
        return text

    def clean(self, error: BaseException) -> None:
        """Take the secrets out of an error and of all that it came from; each stays what it is."""
        pending: list[BaseException | None] = [error]
        seen: set[int] = set()
        while pending:
            one = pending.pop()
            if one is not None and id(one) not in seen:
                seen.add(id(one))
                pending += [one.__cause__, one.__context__]
                self._clean(one)

    def _clean(self, error: BaseException) -> None:
        if isinstance(error, json.JSONDecodeError):
            # All of what is no JSON, which may be a token that was cut short.
            error.doc = ""
        if isinstance(error, aiohttp.ClientResponseError):
            # Those of the reply: a redirection's target may be signed, a cookie is somebody's.
            error.headers = None
        # The attributes of an OSError are not in its dictionary.
        if isinstance(error, OSError) and isinstance(error.strerror, str):
            error.strerror = self.text(error.strerror)
        for name, value in vars(error).items():
            setattr(error, name, self._cleaned(value))
        error.args = tuple(self._cleaned(value) for value in error.args)

    def _cleaned(self, value: object) -> object:
        match value:
            case str():
                return self.text(value)
            case yarl.URL():
                return _plain(value)
            case aiohttp.RequestInfo():
                url = _plain(value.real_url)
                return aiohttp.RequestInfo(url, value.method, CIMultiDictProxy(CIMultiDict[str]()), url)
            case list():
                return [self._cleaned(item) for item in value]
            case dict():
                return {key: self._cleaned(item) for key, item in value.items()}
        # Such as the bytes of a broken header, or what there was of a head.
        shown = repr(value)
        return value if self.text(shown) == shown else self.text(shown)


def _password(authorization: str) -> str:
    """Return the password that a ``Basic`` authorization holds, nothing if it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme == "Basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(encoded).decode().partition(":")[2]
    return ""


def _plain(url: yarl.URL) -> yarl.URL:
    """Return a URL without user, password, query and fragment."""
    return url.with_user(None).with_query(None).with_fragment(None)
