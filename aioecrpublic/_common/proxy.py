"""Which proxy a URL is reached by: one rule for everything that this package sends.

``HTTPS_PROXY`` names the proxy of https URLs, ``HTTP_PROXY`` that of http URLs, and ``NO_PROXY`` lists what
is reached directly. Of a variable's two spellings the lower-case one comes first, as in curl and urllib, and
an empty one counts as unset. In a CGI program, which ``REQUEST_METHOD`` tells, ``HTTP_PROXY`` is ignored:
there a client's ``Proxy`` header arrives under that name (https://httpoxy.org).

``NO_PROXY`` is a list, separated by commas or blanks, of

* domains: ``example.com``, ``.example.com`` and ``*.example.com`` stand for the domain and all below it,
* IP addresses, IPv6 with or without brackets, and networks such as ``10.0.0.0/8``, for hosts given as such,
* any of them, but networks, followed by ``:PORT``, which then has to be the URL's,
* or ``*``, which stands for everything.

The loopback addresses and ``localhost`` are never reached by a proxy: from another machine, they are that
machine's own.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs
import yarl

from aioecrpublic._common.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEMES: Final = frozenset({"http", "https"})
_SEPARATORS: Final = re.compile(r"[,\s]+")
_WITH_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)", re.ASCII)


class ProxyError(ValueError):
    """A variable whose value is not the URL of a proxy; the message names the variable, not its value."""


@attrs.frozen
class Proxy:
    """A proxy, its user and password apart from its address.

    Attributes:
        url: Its address.
        authorization: What the ``Proxy-Authorization`` header has to say, if the proxy's URL had a user.
    """

    url: yarl.URL
    authorization: str | None = attrs.field(default=None, repr=False)


def find_proxy(url: yarl.URL, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy that the environment names for ``url``, ``None`` if it is reached directly.

    Raises:
        ProxyError: The variable is not an http or https URL.
    """
    if url.scheme not in _SCHEMES or is_loopback(url.raw_host or ""):
        return None
    name = f"{url.scheme}_proxy"
    variable = next((known for known in (name, name.upper()) if environment.get(known)), None)
    if variable is None or (variable == "HTTP_PROXY" and environment.get("REQUEST_METHOD")):
        return None
    excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if _is_excluded(url, excluded):
        return None
    return _parse_proxy(environment[variable], variable)


def _is_excluded(url: yarl.URL, excluded: str) -> bool:
    host = (url.raw_host or "").rstrip(".").lower()
    address = _parse_address(host)
    for entry in filter(None, _SEPARATORS.split(excluded)):
        if entry == "*":
            return True
        with_port = _WITH_PORT.fullmatch(entry)
        if with_port is not None and int(with_port[2]) != url.port:
            continue
        name = entry if with_port is None else with_port[1]
        if _is_domain(name, host) if address is None else _is_address(name, address):
            return True
    return False


def _is_domain(name: str, host: str) -> bool:
    """Say whether ``host`` is the domain ``name`` or below it."""
    name = name.removeprefix("*").strip(".").lower()
    try:
        domain = yarl.URL.build(scheme="http", host=name).raw_host or ""
    except ValueError:
        return False
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_address(name: str, address: Address) -> bool:
    """Say whether ``address`` is the address ``name`` or in the network ``name``."""
    name = name.replace("[", "").replace("]", "")
    if "/" not in name:
        return _parse_address(name) == address
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _parse_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # The same host in its two notations.
    return getattr(address, "ipv4_mapped", None) or address


def _parse_proxy(value: str, variable: str) -> Proxy:
    # curl and most others take HOST:PORT and //HOST:PORT too, for a proxy that speaks http.
    scheme, separator, rest = value.strip().rpartition("://")
    scheme = scheme.lower() if separator else "http"
    if scheme.startswith("socks"):
        raise ProxyError(f"{variable} must be an http or https URL: SOCKS proxies are not supported")
    url = _parse_url(f"{scheme}://{rest.removeprefix('//')}")
    if url is None:
        # Its value is not shown: there may be a password in it.
        raise ProxyError(f"{variable} must be an http or https URL with a host and no more than a port")
    address = url.origin()
    if url.raw_user is None and url.raw_password is None:
        return Proxy(address)
    identity = f"{unquote(url.raw_user or '')}:{unquote(url.raw_password or '')}".encode()
    return Proxy(address, f"Basic {base64.b64encode(identity).decode()}")


def _parse_url(text: str) -> yarl.URL | None:
    """Return ``text`` as an http or https URL without a path, ``None`` if it is none."""
    try:
        url = yarl.URL(text)
        # Building it again holds the host to its grammar; a zone id is valid, and nothing can connect to it.
        host = yarl.URL.build(scheme=url.scheme, host=url.raw_host or "").raw_host
    except (ValueError, IndexError):  # the latter for "[]", by yarl before 1.18
        return None
    plain = url.raw_path_qs in {"", "/"} and not url.raw_fragment
    return url if plain and url.scheme in _SCHEMES and host and "%" not in host and url.port else None
