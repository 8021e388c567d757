"""What a service's endpoint rule set answers, asked of botocore's own rule engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from botocore.endpoint_provider import RuleSetEndpoint
    from botocore.loaders import Loader

# A custom endpoint needs no rules, and the endpoints of accounts serve what the region's serves too.
_NEVER_GIVEN = frozenset({"AccountId", "AccountIdEndpointMode", "Endpoint"})
EndpointKey: TypeAlias = tuple[str, bool, bool]
"""Region, FIPS, dual-stack."""


@attrs.frozen
class EndpointsModel:
    """The endpoints of a service, or of those of its operations that have others.

    Attributes:
        urls: A URL by region, FIPS and dual-stack; what the rules refuse is absent.
        signing_regions: The region to sign for where it is another than that which was asked for.
        unsupported: How many are absent because they need headers or a signature of their own.
    """

    urls: Mapping[EndpointKey, str] = attrs.field(factory=dict)
    signing_regions: Mapping[EndpointKey, str] = attrs.field(factory=dict)
    unsupported: int = 0


class EndpointRules:
    """The rule set of one service.

    Attributes:
        parameters: The parameters that an endpoint depends on.
    """

    def __init__(self, loader: Loader, name: str, signing_name: str) -> None:
        self._signing_name = signing_name
        self._partitions: Any = loader.load_data("partitions")
        rule_set = loader.load_service_model(name, "endpoint-rule-set-1")
        self._provider = EndpointProvider(ruleset_data=rule_set, partition_data=self._partitions)
        reached = list(_reached(rule_set["rules"]))
        self.parameters: frozenset[str] = frozenset(_references(reached))
        self._regions_of_its_own = frozenset(_named_regions(reached))

    def resolve(self, served: Iterable[str], parameters: Mapping[str, Any]) -> EndpointsModel:
        """Return the endpoints in the regions that are served, or in all, for parameters of the rules."""
        urls: dict[EndpointKey, str] = {}
        signing_regions: dict[EndpointKey, str] = {}
        unsupported = 0
        for key in self._keys(served):
            region, fips, dualstack = key
            try:
                endpoint = self._provider.resolve_endpoint(
                    Region=region, UseFIPS=fips, UseDualStack=dualstack, **parameters
                )
            except BotoCoreError:
                continue
            signing_region = self._signing_region(endpoint, region)
            if signing_region is None or endpoint.headers:
                unsupported += 1
                continue
            urls[key] = endpoint.url
            if signing_region != region:
                signing_regions[key] = signing_region
        return EndpointsModel(urls, signing_regions, unsupported)

    def _keys(self, served: Iterable[str]) -> list[EndpointKey]:
        known = {region for partition in self._partitions["partitions"] for region in partition["regions"]}
        regions = tuple(served) or sorted(known | self._regions_of_its_own)
        return [
            (region, fips, dualstack)
            for region in regions
            for fips in (False, True)
            for dualstack in (False, True)
        ]

    def _signing_region(self, endpoint: RuleSetEndpoint, region: str) -> str | None:
        """Return the region to sign for, or ``None`` if the endpoint does not take Signature Version 4."""
        for scheme in endpoint.properties.get("authSchemes", [{"name": "sigv4"}]):
            if (
                scheme["name"] == "sigv4"
                and scheme.get("signingName", self._signing_name) == self._signing_name
            ):
                found: str = scheme.get("signingRegion", region)
                return found
        return None


def _reached(rules: Iterable[Mapping[str, Any]]) -> Iterator[object]:
    """Yield the conditions and endpoints of the rules that apply without the parameters never given."""
    for rule in rules:
        if any(_is_never_met(condition) for condition in rule["conditions"]):
            continue
        yield rule["conditions"]
        yield rule.get("endpoint")
        yield from _reached(rule.get("rules", ()))


def _is_never_met(condition: Mapping[str, Any]) -> bool:
    return condition["fn"] == "isSet" and condition["argv"][0].get("ref") in _NEVER_GIVEN


def _references(node: object) -> Iterator[str]:
    """Yield the names that a part of a rule set refers to, in templates such as ``{Region}`` too."""
    if isinstance(node, str):
        yield from re.findall(r"\{(\w+)", node)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "ref")
        for item in node.values():
            yield from _references(item)


def _named_regions(node: object) -> Iterator[str]:
    """Yield the regions that a rule set knows by name, such as a ``sandbox`` that is in no partition."""
    if isinstance(node, list):
        for item in node:
            yield from _named_regions(item)
    elif isinstance(node, dict):
        match node:
            case {"fn": "stringEquals", "argv": [{"ref": "Region"}, str(region)]}:
                yield region
        for item in node.values():
            yield from _named_regions(item)
