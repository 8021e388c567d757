"""Addresses of registries, and the URLs that their replies lead to."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias

import yarl

Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port: two URLs that differ in one of them are of different servers."""

_MAX_HOST: Final = 253
_MAX_PORT: Final = 65535
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_AUTHORITY: Final = re.compile(rf"({_LABEL}(?:\.{_LABEL})*\.?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{{1,5}}))?")
# Visible ASCII; a backslash is a slash to some readers and none to others.
_VISIBLE: Final = re.compile(r"[!-\[\]-~]+")


class URLError(ValueError):
    """A URL that is not followed; the message says why, without the URL, which may hold a secret."""


def is_authority(text: str) -> bool:
    """Say whether ``text`` is ``HOST`` or ``HOST:PORT``, the host a name, an IPv4 address or ``[IPv6]``."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or len(match[1]) > _MAX_HOST or not 1 <= int(match[3] or 1) <= _MAX_PORT:
        return False
    try:
        return match[2] is None or ipaddress.IPv6Address(match[2]) is not None
    except ValueError:
        return False


def join_url(base: yarl.URL, reference: str) -> yarl.URL:
    """Return the URL that a reply of ``base`` refers to, character by character as it is written there.

    A signed URL is not the same after re-encoding.

    Raises:
        URLError: It is not a valid http or https URL, has a user name or password in it, or leaves https.
    """
    if _VISIBLE.fullmatch(reference) is None:
        raise URLError("something that is not a valid URL")
    try:
        target = base.join(yarl.URL(reference, encoded=True))
        authority = target.raw_authority
        scheme = target.scheme.lower()
    except ValueError:
        raise URLError("something that is not a valid URL") from None
    if scheme not in {"http", "https"}:
        raise URLError("something that is neither http nor https")
    if "@" in authority:
        raise URLError("a URL with a user name or password in it")
    if not is_authority(authority):
        raise URLError("something that is not a valid URL")
    if base.scheme == "https" and scheme != "https":
        raise URLError("http from https")
    return target


def origin_of(url: yarl.URL) -> Origin:
    """Return the server that a URL is of."""
    return url.scheme.lower(), (url.raw_host or "").lower().rstrip("."), url.port or 0


def show_origin(url: yarl.URL) -> str:
    """Return a URL as messages name it: without its path and query, which may hold secrets."""
    return str(url.origin())
