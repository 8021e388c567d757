"""The service model as the generator sees it: shapes with a direction, operations, endpoints."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import attrs
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader

from aioecrpublic.codegen.endpoints import EndpointRules, EndpointsModel
from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.operations import OperationModel, read_operations, why_left_out
from aioecrpublic.codegen.overlay import Overlay, load_overlay
from aioecrpublic.codegen.shapes import ShapeModel, reachable, read_shapes
from aioecrpublic.codegen.traits import unknown_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PROTOCOLS = {"1.0": "application/x-amz-json-1.0", "1.1": "application/x-amz-json-1.1"}
_SIGNATURE = "aws.auth#sigv4"


@attrs.frozen(kw_only=True)
class ServiceModel:
    """One service: the model, its paginators, its endpoints, its overlay.

    Attributes:
        endpoints: Where its operations go.
        own_endpoints: Where some of them go instead, by the parameters that they give the rule set.
        notices: What of the model is not in the generated package, a sentence each.
    """

    name: str
    metadata: Mapping[str, Any]
    documentation: str
    shapes: Mapping[str, ShapeModel]
    operations: tuple[OperationModel, ...]
    endpoints: EndpointsModel
    own_endpoints: Mapping[str, EndpointsModel]
    overlay: Overlay
    notices: tuple[str, ...]

    @property
    def content_type(self) -> str:
        """The content type of its protocol."""
        return _PROTOCOLS[self.metadata["jsonVersion"]]

    def reachable(self, roots: Iterable[str]) -> set[str]:
        """Return the names of all shapes that ``roots`` are made of, themselves included."""
        return reachable(self.shapes, roots)


def load_service(name: str) -> ServiceModel:
    """Read everything that botocore knows about the service called ``name``.

    Raises:
        GeneratorError: There is no such service, or it is not one of JSON 1.0 or 1.1 that takes Signature
            Version 4, or its model has a type or a timestamp format that the generator does not know.
    """
    loader = Loader()
    try:
        raw = loader.load_service_model(name, "service-2")
    except BotoCoreError as error:
        raise GeneratorError(f"botocore has no service {name!r}") from error
    rules = EndpointRules(loader, name, signing_name(raw["metadata"]))
    return read_service(name, raw, paginators=_paginators(loader, name), rules=rules)


def read_service(
    name: str,
    raw: Mapping[str, Any],
    *,
    paginators: Mapping[str, Any],
    rules: EndpointRules | None = None,
) -> ServiceModel:
    """Read a model at hand; ``rules`` is left out for a service that has no rule set."""
    metadata = raw["metadata"]
    _check_protocol(name, metadata)
    overlay = load_overlay(name)
    shapes = read_shapes(raw["shapes"])
    left_out = {
        operation: reason
        for operation, body in sorted(raw["operations"].items())
        if (reason := why_left_out(body, shapes))
    }
    kept = {operation: body for operation, body in raw["operations"].items() if operation not in left_out}
    parameters = rules.parameters if rules else frozenset()
    operations = tuple(read_operations(kept, paginators, shapes, overlay, parameters))
    _check_overlay(name, overlay, shapes, {operation.name for operation in operations})
    endpoints, own = _endpoints(rules, overlay, operations) if rules else (EndpointsModel(), {})
    return ServiceModel(
        name=name,
        metadata=metadata,
        documentation=raw.get("documentation", ""),
        shapes=dict(sorted(shapes.items())),
        operations=operations,
        endpoints=endpoints,
        own_endpoints=own,
        overlay=overlay,
        notices=(
            *(f"{operation} is left out: {reason}" for operation, reason in left_out.items()),
            *_notices(raw, operations, [endpoints, *own.values()], parameters),
        ),
    )


def signing_name(metadata: Mapping[str, Any]) -> str:
    """Return the name of the service in a signature's scope."""
    name: str = metadata.get("signingName", metadata["endpointPrefix"])
    return name


def _check_protocol(name: str, metadata: Mapping[str, Any]) -> None:
    spoken = metadata.get("protocols", [metadata["protocol"]])
    if "json" not in spoken or metadata.get("jsonVersion") not in _PROTOCOLS:
        raise GeneratorError(f"{name} speaks {', '.join(spoken)}; only JSON 1.0 and 1.1 are generated")
    signatures = metadata.get("auth", [_SIGNATURE])
    if _SIGNATURE not in signatures or metadata.get("signatureVersion", "v4") != "v4":
        raise GeneratorError(f"{name} wants {', '.join(signatures)}; only Signature Version 4 is generated")


def _endpoints(
    rules: EndpointRules, overlay: Overlay, operations: Sequence[OperationModel]
) -> tuple[EndpointsModel, dict[str, EndpointsModel]]:
    """Return the service's endpoints, and those of operations that give the rule set parameters, by these.

    Where the rule set has no endpoint without parameters, the service's are those of most operations.
    """
    used = collections.Counter(parameters_key(operation) for operation in operations)
    parameters = {parameters_key(operation): operation.traits.parameters for operation in operations}
    sets = {key: rules.resolve(overlay.regions, parameters[key]) for key in used}
    plain = sets[""] if "" in sets else rules.resolve(overlay.regions, {})
    if not plain.urls and used:
        plain = sets[used.most_common(1)[0][0]]
    own = {key: found for key, found in sets.items() if key and found != plain}
    return plain, own


def parameters_key(operation: OperationModel) -> str:
    """Return the parameters that an operation gives the rule set, as one string."""
    return ", ".join(f"{name}={value}" for name, value in sorted(operation.traits.parameters.items()))


def _notices(
    raw: Mapping[str, Any],
    operations: Sequence[OperationModel],
    endpoints: Iterable[EndpointsModel],
    parameters: frozenset[str],
) -> Iterator[str]:
    """Yield what is said of a model beside the operations that are left out."""
    for key, owner in unknown_keys(raw).items():
        yield f"{key} of {owner} is not known and ignored"
    bodies = raw["operations"].items()
    if discovered := [operation.name for operation in operations if operation.traits.discovered]:
        yield (
            f"{_some(discovered)}: the endpoint must be asked of the service; "
            "without endpoint_url a call is refused"
        )
    if optional := [name for name, body in bodies if _may_be_discovered(body)]:
        yield f"{_some(optional)}: an endpoint may be asked of the service; the region's is used instead"
    if dependent := [name for name, body in bodies if _depends(body, parameters)]:
        yield f"{_some(dependent)}: the endpoint may depend on parts of members; the service's is used"
    if unsupported := sum(found.unsupported for found in endpoints):
        yield f"{unsupported} endpoints are left out: they need headers or a signature of their own"


def _may_be_discovered(body: Mapping[str, Any]) -> bool:
    return "endpointdiscovery" in body and not body["endpointdiscovery"].get("required")


def _depends(body: Mapping[str, Any], parameters: frozenset[str]) -> bool:
    """Say whether an operation's endpoint depends on parts of members, which are not evaluated."""
    return not parameters.isdisjoint(body.get("operationContextParams", {}))


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more operations"


def _check_overlay(
    service: str, overlay: Overlay, shapes: Mapping[str, ShapeModel], operations: set[str]
) -> None:
    members = {f"{shape.name}.{member.wire}" for shape in shapes.values() for member in shape.members}
    for kind, named, known in (
        ("secrets", overlay.secrets, members),
        ("operation_regions", overlay.operation_regions, operations),
        ("quotas", overlay.quotas, operations | {"default"}),
        ("endpoint_urls", overlay.endpoint_urls, operations),
        ("errors", overlay.errors, {shape.name for shape in shapes.values() if shape.is_error}),
    ):
        if unknown := set(named) - known:
            raise GeneratorError(f"overlay of {service}: {kind} names {sorted(unknown)}, not in the model")


def _paginators(loader: Loader, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = loader.load_service_model(name, "paginators-1")["pagination"]
    except BotoCoreError:
        return {}
    return found
