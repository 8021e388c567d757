"""The service model as the generator sees it: shapes with a direction, operations, endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader

from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.names import class_name, snake_case
from aioecrpublic.codegen.overlay import Overlay, load_overlay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SCALARS = frozenset({"string", "integer", "long", "float", "double", "boolean", "timestamp", "blob"})
_TRAITS = frozenset({
    "type", "documentation", "members", "required", "member", "key", "value", "min", "max", "pattern", "enum",
    "exception", "fault", "error", "sensitive", "deprecated", "deprecatedMessage", "union", "box",
    "retryable", "synthetic", "deprecatedSince", "flattened", "document", "timestampFormat", "wrapper",
    "event", "eventstream", "xmlOrder",
})  # fmt: skip
# What ``ServiceError`` and exceptions in general have; ``message`` is its own.
_OF_ERRORS = frozenset({
    "add_note", "args", "attempts", "code", "default_code", "default_status", "members", "modelled_retryable",
    "operation", "request_id", "retry_delay", "retryable", "status", "throttling", "with_traceback",
})  # fmt: skip
_TIMESTAMPS = frozenset({"iso8601", "rfc822", "unixTimestamp"})
_PROTOCOLS = {"1.0": "application/x-amz-json-1.0", "1.1": "application/x-amz-json-1.1"}


@attrs.frozen
class MemberModel:
    """One member of a structure in the model; ``name`` is its name in Python."""

    wire: str
    shape: str
    required: bool
    documentation: str
    name: str = attrs.field()

    @name.default
    def _name(self) -> str:
        return snake_case(self.wire)


@attrs.frozen
class ShapeModel:
    """One shape of the model."""

    name: str
    type: str
    traits: Mapping[str, Any]
    members: tuple[MemberModel, ...]
    documentation: str

    @property
    def is_enum(self) -> bool:
        """Whether it is a string with a closed list of values."""
        return self.type == "string" and bool(self.traits.get("enum"))

    @property
    def is_error(self) -> bool:
        """Whether it is a modelled exception."""
        return bool(self.traits.get("exception"))

    def references(self) -> tuple[str, ...]:
        """The names of the shapes it is made of."""
        if self.type == "structure":
            return tuple(member.shape for member in self.members)
        if self.type == "list":
            return (self.element("member"),)
        if self.type == "map":
            return (self.element("key"), self.element("value"))
        return ()

    def element(self, part: str) -> str:
        """The name of the shape that ``member``, ``key`` or ``value`` of a list or map has."""
        return class_name(self.traits[part]["shape"])


@attrs.frozen
class OperationModel:
    """One operation; ``input`` and ``output`` name structures, made up where the model has none."""

    name: str
    input: str
    output: str
    errors: tuple[str, ...]
    documentation: str
    pagination: Mapping[str, Any] | None

    @property
    def method(self) -> str:
        """The name of its method."""
        return snake_case(self.name)


@attrs.frozen(kw_only=True)
class ServiceModel:
    """One service: the model, its paginators, its endpoints, its overlay.

    Attributes:
        left_out: The operations that answer or take streams of events, which is not JSON alone.
    """

    name: str
    metadata: Mapping[str, Any]
    documentation: str
    shapes: Mapping[str, ShapeModel]
    operations: tuple[OperationModel, ...]
    left_out: tuple[str, ...]
    endpoints: Mapping[tuple[str, bool, bool], str]
    overlay: Overlay

    @property
    def content_type(self) -> str:
        """The content type of its protocol."""
        return _PROTOCOLS[self.metadata["jsonVersion"]]

    def reachable(self, roots: Iterable[str]) -> set[str]:
        """The names of all shapes that ``roots`` are made of, themselves included."""
        return _reachable(self.shapes, roots)


def _reachable(shapes: Mapping[str, ShapeModel], roots: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(shapes[name].references())
    return seen


def load_service(name: str) -> ServiceModel:
    """Read everything that botocore knows about the service called ``name``.

    Raises:
        GeneratorError: There is no such service, or it is not one of JSON 1.0 or 1.1, or its model has a
            trait, a type or a documentation tag that the generator does not know.
    """
    loader = Loader()
    try:
        raw = loader.load_service_model(name, "service-2")
    except BotoCoreError as error:
        raise GeneratorError(f"botocore has no service {name!r}") from error
    return read_service(name, raw, paginators=_paginators(loader, name), endpoints=_Endpoints(loader, name))


def read_service(
    name: str,
    raw: Mapping[str, Any],
    *,
    paginators: Mapping[str, Any],
    endpoints: _Endpoints | None = None,
) -> ServiceModel:
    """The same from a model at hand; ``endpoints`` is left out for a service that has no rule set."""
    metadata = raw["metadata"]
    spoken = metadata.get("protocols", [metadata["protocol"]])
    if "json" not in spoken or metadata.get("jsonVersion") not in _PROTOCOLS:
        raise GeneratorError(f"{name} speaks {', '.join(spoken)}; only JSON 1.0 and 1.1 are generated")
    overlay = load_overlay(name)
    shapes = {
        class_name(shape): _read_shape(class_name(shape), body)
        for shape, body in sorted(raw["shapes"].items())
    }
    streamed = {operation for operation, body in raw["operations"].items() if _streams(body, shapes)}
    plain = {operation: body for operation, body in raw["operations"].items() if operation not in streamed}
    operations = tuple(_read_operations(plain, paginators, shapes))
    _check_overlay(name, overlay, shapes, {operation.name for operation in operations})
    return ServiceModel(
        name=name,
        metadata=metadata,
        documentation=raw.get("documentation", ""),
        shapes=dict(sorted(shapes.items())),
        operations=operations,
        left_out=tuple(sorted(streamed)),
        endpoints=endpoints.resolve(overlay.regions) if endpoints else {},
        overlay=overlay,
    )


def _streams(operation: Mapping[str, Any], shapes: Mapping[str, ShapeModel]) -> bool:
    """Whether the operation takes or answers a stream of events."""
    roots = [class_name(operation[way]["shape"]) for way in ("input", "output") if way in operation]
    return any(shapes[name].traits.get("eventstream") for name in _reachable(shapes, roots))


def _read_shape(name: str, body: Mapping[str, Any]) -> ShapeModel:
    kind = body["type"]
    if kind not in _SCALARS | {"structure", "list", "map"}:
        raise GeneratorError(f"{name}: unknown type {kind!r}")
    if unknown := set(body) - _TRAITS:
        raise GeneratorError(f"{name}: unknown traits {sorted(unknown)}")
    if (form := body.get("timestampFormat", "unixTimestamp")) not in _TIMESTAMPS:
        raise GeneratorError(f"{name}: unknown timestamp format {form!r}")
    if body.get("document"):
        kind = "document"
    required = set(body.get("required", ()))
    members = tuple(
        MemberModel(wire, class_name(member["shape"]), wire in required, member.get("documentation", ""))
        for wire, member in body.get("members", {}).items()
    )
    shape = ShapeModel(name, kind, body, members, body.get("documentation", ""))
    return _out_of_the_way(shape, _OF_ERRORS) if shape.is_error else shape


def _read_operations(
    raw: Mapping[str, Any],
    paginators: Mapping[str, Any],
    shapes: dict[str, ShapeModel],
) -> Iterator[OperationModel]:
    taken: set[str] = set()
    for name, body in sorted(raw.items()):
        request = _own_structure(body.get("input"), f"{name}Request", shapes, taken)
        response = _own_structure(body.get("output"), f"{name}Response", shapes, taken)
        errors = tuple(sorted(class_name(error["shape"]) for error in body.get("errors", ())))
        shapes[response] = _out_of_the_way(shapes[response], frozenset({"metadata"}))
        pagination = paginators.get(name)
        if pagination is not None and not _is_plain(pagination, shapes[request], shapes[response], shapes):
            pagination = None
        yield OperationModel(name, request, response, errors, body.get("documentation", ""), pagination)


def _out_of_the_way(shape: ShapeModel, taken: frozenset[str]) -> ShapeModel:
    """The structure, its members out of the way of the attributes that its class has anyway."""
    members = tuple(
        attrs.evolve(member, name=f"{member.name}_") if member.name in taken else member
        for member in shape.members
    )
    return attrs.evolve(shape, members=members)


def _is_plain(
    pagination: Mapping[str, Any], request: ShapeModel, response: ShapeModel, shapes: Mapping[str, ShapeModel]
) -> bool:
    """Whether it pages by one token through one list, which is what ``Paginator`` does.

    Other operations page by several tokens, or answer several lists or one inside another structure; they are
    called page by page.
    """
    asked = {member.wire: shapes[member.shape].type for member in request.members}
    answered = {member.wire: shapes[member.shape].type for member in response.members}
    keys = [pagination.get(key) for key in ("input_token", "output_token", "result_key")]
    given, following, result = (key if isinstance(key, str) else "" for key in keys)
    return (asked.get(given), answered.get(following), answered.get(result)) == ("string", "string", "list")


def _own_structure(
    reference: Mapping[str, str] | None,
    fallback: str,
    shapes: dict[str, ShapeModel],
    taken: set[str],
) -> str:
    """The structure's name; a copy of its own for an operation that has none or shares one with another."""
    name = class_name(reference["shape"]) if reference else fallback
    if name in taken or name not in shapes:
        source = shapes.get(name)
        shapes[fallback] = (
            attrs.evolve(source, name=fallback)
            if source
            else ShapeModel(fallback, "structure", {"type": "structure"}, (), "")
        )
        name = fallback
    taken.add(name)
    return name


def _check_overlay(
    service: str, overlay: Overlay, shapes: Mapping[str, ShapeModel], operations: set[str]
) -> None:
    members = {f"{shape.name}.{member.wire}" for shape in shapes.values() for member in shape.members}
    for kind, named, known in (
        ("secrets", overlay.secrets, members),
        ("operation_regions", overlay.operation_regions, operations),
        ("quotas", overlay.quotas, operations | {"default"}),
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


class _Endpoints:
    """What the service's endpoint rule set answers, asked of botocore's own rule engine."""

    def __init__(self, loader: Loader, name: str) -> None:
        self._provider = EndpointProvider(
            ruleset_data=loader.load_service_model(name, "endpoint-rule-set-1"),
            partition_data=loader.load_data("partitions"),
        )
        self._partitions = loader.load_data("partitions")["partitions"]

    def resolve(self, served: tuple[str, ...]) -> dict[tuple[str, bool, bool], str]:
        """The endpoint's URL by region, FIPS and dual-stack; what the rules refuse is absent."""
        regions = served or tuple(
            sorted(region for partition in self._partitions for region in partition["regions"])
        )
        answers: dict[tuple[str, bool, bool], str] = {}
        for region in regions:
            for fips in (False, True):
                for dualstack in (False, True):
                    try:
                        endpoint = self._provider.resolve_endpoint(
                            Region=region,
                            UseFIPS=fips,
                            UseDualStack=dualstack,
                        )
                    except BotoCoreError:
                        continue
                    answers[region, fips, dualstack] = endpoint.url
        return answers
