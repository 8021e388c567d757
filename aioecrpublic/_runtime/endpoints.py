"""Which region is signed for and where requests go."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlsplit

import attrs
import yarl

from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from aioecrpublic._runtime.shapes import Service

_DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Endpoint:
    """A URL taken apart once, for sending and signing.

    Attributes:
        url: Where requests are posted, sent as it is.
        host: The ``Host`` header: without the port where it is the scheme's own.
        path: The path as the signature wants it, in percent-encoding of its own.
    """

    url: yarl.URL
    host: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Take ``url`` apart.

        Raises:
            ConfigurationError: It is not an http or https URL with a host and a path and nothing more.
        """
        if not isinstance(url, str):
            raise ConfigurationError(f"endpoint_url must be a str (got {type(url).__name__})")
        # What may have a password or a token in it is not shown.
        named = "endpoint_url" if set("@?#") & set(url) else f"endpoint_url {url!r}"
        parts = _split(url)
        if parts is None:
            raise ConfigurationError(f"{named} is not a URL")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError("endpoint_url has a user name or password in it; use credentials")
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ConfigurationError(f"{named} is not an http or https URL")
        if parts.query or parts.fragment:
            raise ConfigurationError(f"{named} has a query or a fragment")
        name = _host(parts.hostname)
        if name is None:
            raise ConfigurationError(f"{named} has no host that can be connected to")
        host = f"[{name}]" if ":" in name else name
        if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme]:
            host = f"{host}:{parts.port}"
        path = _plain_path(parts.path)
        return cls(yarl.URL(f"{parts.scheme}://{host}{path}", encoded=True), host, quote(path, safe="/~"))

    def prefixed(self, prefix: str) -> Endpoint:
        """Return the same endpoint with something before the name of its host."""
        url = yarl.URL(f"{self.url.scheme}://{prefix}{self.host}{self.url.raw_path}", encoded=True)
        return attrs.evolve(self, url=url, host=f"{prefix}{self.host}")


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, ``None`` if it is none: the parser's own error may repeat a password."""
    if not url.isprintable():
        # The parser drops some of what cannot be printed, and keeps the rest.
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _host(name: str) -> str | None:
    """A host as it is sent, ``None`` if it is none; a zone id is one only for the sender."""
    try:
        host = yarl.URL.build(scheme="http", host=name).raw_host
    except ValueError:
        return None
    return None if host is None or "%" in host else host


def _plain_path(path: str) -> str:
    """The path without dot segments and doubled slashes (RFC 3986, section 5.2.4), a slash at its end."""
    kept: list[str] = []
    for segment in quote(path, safe="/%~!$&'()*+,;=:@").split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return f"/{'/'.join(kept)}/" if kept else "/"


def choose_region(service: Service, argument: str | None, configured: str | None, *, custom: bool) -> str:
    """The argument; else the configured region if the service is there; else the service's first.

    Raises:
        ConfigurationError: The argument is a region without the service, and there is no custom endpoint.
    """
    served = service.regions
    if argument:
        if served and argument not in served and not custom:
            raise ConfigurationError(
                f"region {argument!r}: {service.service_id} is served in {' and '.join(served)} only"
            )
        return argument
    if configured and (not served or configured in served):
        return configured
    if not served:
        raise ConfigurationError("no region: pass region=, or set AWS_REGION")
    return served[0]


def choose_endpoint(service: Service, region: str, custom: str | None, *, fips: bool, dualstack: bool) -> str:
    """The custom endpoint as it is, whatever the variants; or what the service's rules say.

    Raises:
        ConfigurationError: The combination does not exist, or a custom endpoint is not a URL.
    """
    if custom:
        Endpoint.parse(custom)
        return custom.rstrip("/")
    try:
        return service.endpoints[region, fips, dualstack]
    except KeyError:
        variant = " ".join(word for word, wanted in (("FIPS", fips), ("dual-stack", dualstack)) if wanted)
        raise ConfigurationError(
            f"region {region!r} has no {variant + ' ' if variant else ''}endpoint of {service.service_id}"
        ) from None
