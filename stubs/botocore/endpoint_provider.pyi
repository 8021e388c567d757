from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

class RuleSetEndpoint(NamedTuple):
    url: str
    properties: dict[str, Any]
    headers: dict[str, list[str]]

class EndpointProvider:
    def __init__(
        self,
        ruleset_data: Mapping[str, Any],
        partition_data: Mapping[str, Any],
        excluded_params: Collection[str] | None = None,
    ) -> None: ...
    def resolve_endpoint(self, **input_parameters: str | bool) -> RuleSetEndpoint: ...
