"""Find where a call goes and what it is signed for: the client's endpoint, or one of its operation's own."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from aioecrpublic._common.addresses import is_this_machine
from aioecrpublic._runtime.endpoints import Endpoint
from aioecrpublic._runtime.errors import ConfigurationError, ValidationError
from aioecrpublic._runtime.signing import CanonicalHeaders, Signer
from aioecrpublic._runtime.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from botocore.endpoint_provider import EndpointProvider

    from aioecrpublic._runtime.config import Settings
    from aioecrpublic._runtime.shapes import EndpointKey, Operation, OperationEndpoint, Service

_LABEL = re.compile(r"\{(\w+)\}")
# What botocore takes, within the 63 characters that a label of a host's name has.
_HOST_LABEL = re.compile(r"[A-Za-z0-9.-]{1,63}")


class Route(NamedTuple):
    """Where a call goes, what signs it, and the headers of each attempt, as they are sent and signed."""

    endpoint: Endpoint
    signer: Signer
    sent: Mapping[str, str]
    signed: CanonicalHeaders

    def with_header(self, name: str, value: str) -> Route:
        """Return the same route with one more header."""
        headers = {**self.sent, name: value}
        return self._replace(sent=headers, signed=CanonicalHeaders.of(headers))


class Router:
    """The routes of a client's calls.

    Args:
        service: The service.
        settings: What holds for the client.
        executor: Worker threads for reading the service's endpoint rules.
    """

    def __init__(self, service: Service, settings: Settings, executor: Executor) -> None:
        self._service = service
        self._settings = settings
        self._executor = executor
        self._signers: dict[str, Signer] = {}
        self._routes: dict[str, Route] = {}
        self._rules: EndpointProvider | None = None
        self.endpoint: Endpoint = Endpoint.parse(settings.endpoint_url)
        self.signer: Signer = self._signer(settings.signing_region)

    def route(self, operation: Operation[Any, Any]) -> Route:
        """Return the route of an operation that goes to the client's endpoint."""
        route = self._routes.get(operation.name)
        if route is None:
            route = self._routes[operation.name] = self._new_route(operation, self.endpoint, self.signer)
        return route

    async def own_route(
        self, operation: Operation[Any, Any], own: OperationEndpoint, request: object
    ) -> Route:
        """Return the route of a call of an operation that has an endpoint of its own.

        Raises:
            ValidationError: A member of the request leads to no endpoint.
            ConfigurationError: The operation has no endpoint with these settings.
        """
        endpoint, signer = await self._find(operation, own, request)
        if own.host_prefix and self._settings.host_prefix and _takes_prefix(endpoint):
            endpoint = endpoint.prefixed(_prefix(operation, own.host_prefix, request))
        return self._new_route(operation, endpoint, signer)

    async def _find(
        self, operation: Operation[Any, Any], own: OperationEndpoint, request: object
    ) -> tuple[Endpoint, Signer]:
        if own.url_member is not None and isinstance(url := getattr(request, own.url_member), str):
            return _given(operation, own.url_member, url), self.signer
        key = self._settings.endpoint_key
        if key is None:
            return self.endpoint, self.signer
        if own.discovered:
            raise ConfigurationError(
                f"{operation.method} needs an endpoint that the service assigns: call describe_endpoints, "
                "and pass its answer as endpoint_url to another client"
            )
        members = {name: getattr(request, member) for name, member in own.members.items()}
        given = {name: value for name, value in members.items() if isinstance(value, str | bool)}
        if given:
            return await self._by_rules(operation, key, {**own.parameters, **given})
        if own.own is None:
            return self.endpoint, self.signer
        endpoints = self._service.own_endpoints[own.own]
        if key not in endpoints.urls:
            raise ConfigurationError(f"{operation.method} has no endpoint in region {key[0]!r}")
        return Endpoint.parse(endpoints.urls[key]), self._signer(endpoints.signing_regions.get(key, key[0]))

    async def _by_rules(
        self, operation: Operation[Any, Any], key: EndpointKey, parameters: Mapping[str, str | bool]
    ) -> tuple[Endpoint, Signer]:
        """Ask botocore's rule set for the endpoint, with parameters from the call."""
        from botocore.exceptions import BotoCoreError

        if self._rules is None:
            self._rules = await in_thread(self._executor, _load_rules, self._service.name)
        region, fips, dualstack = key
        try:
            found = self._rules.resolve_endpoint(
                Region=region, UseFIPS=fips, UseDualStack=dualstack, **parameters
            )
        except BotoCoreError as error:
            raise ValidationError(operation.method, (str(error),)) from error
        for scheme in found.properties.get("authSchemes", [{"name": "sigv4"}]):
            if scheme["name"] == "sigv4":
                return Endpoint.parse(found.url), self._signer(scheme.get("signingRegion", region))
        problem = f"{found.url} does not take Signature Version 4, and no other is implemented"
        raise ValidationError(operation.method, (problem,))

    def _signer(self, region: str) -> Signer:
        if region not in self._signers:
            self._signers[region] = Signer(region, self._service.signing_name)
        return self._signers[region]

    def _new_route(self, operation: Operation[Any, Any], endpoint: Endpoint, signer: Signer) -> Route:
        service = self._service
        headers = {
            "Host": endpoint.host,
            "Content-Type": service.content_type,
            "X-Amz-Target": f"{service.target_prefix}.{operation.name}",
        }
        if service.query_compatible:
            headers["x-amzn-query-mode"] = "true"
        return Route(endpoint, signer, headers, CanonicalHeaders.of(headers))


def _takes_prefix(endpoint: Endpoint) -> bool:
    """Say whether the host is a name that can take a prefix: not an address, nor this machine's."""
    try:
        ipaddress.ip_address(endpoint.url.host or "")
    except ValueError:
        return not is_this_machine(endpoint.host)
    return False


def _prefix(operation: Operation[Any, Any], template: str, request: object) -> str:
    """Return the prefix of the host with the values of the members that it names."""
    labels = {name: getattr(request, name) for name in _LABEL.findall(template)}
    problems = tuple(
        f"{name} must be a valid label of a host name (got {value!r})"
        for name, value in labels.items()
        if not isinstance(value, str) or not _HOST_LABEL.fullmatch(value)
    )
    if problems:
        raise ValidationError(operation.method, problems)
    return _LABEL.sub(lambda label: labels[label[1]], template)


def _given(operation: Operation[Any, Any], member: str, url: str) -> Endpoint:
    try:
        return Endpoint.parse(url if "://" in url else f"https://{url}")
    except ConfigurationError as error:
        raise ValidationError(operation.method, (f"{member}: {error}",)) from error


def _load_rules(service: str) -> EndpointProvider:
    from botocore.endpoint_provider import EndpointProvider
    from botocore.exceptions import BotoCoreError
    from botocore.loaders import Loader

    loader = Loader()
    try:
        return EndpointProvider(
            loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions")
        )
    except BotoCoreError as error:
        raise ConfigurationError(f"botocore has no endpoint rules of {service!r}") from error
