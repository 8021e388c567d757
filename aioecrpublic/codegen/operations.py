"""The operations of a service model, and what they need beside a signed POST of JSON to one endpoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic.codegen.names import class_name, snake_case
from aioecrpublic.codegen.shapes import ShapeModel, reachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aioecrpublic.codegen.overlay import Overlay

_SIGNED = frozenset({"aws.auth#sigv4", "v4", "v4-unsigned-body"})
_UNSIGNED = frozenset({"smithy.api#noAuth", "none"})
_LABEL = re.compile(r"\{(\w+)\}")


@attrs.frozen(kw_only=True)
class TraitsModel:
    """What one operation needs; the members by their names in Python.

    Attributes:
        signed: Whether its requests are signed.
        tokens: The members that are filled in with a token that is the same in every attempt.
        compressed: Whether a large body is compressed.
        host_prefix: What the endpoint's host is prefixed with; a member in braces stands for its value.
        url_member: The member that is the endpoint's URL.
        endpoint_members: The members that the endpoint depends on, by parameters of the rule set.
        parameters: The parameters of the rule set that are the same in every call.
        discovered: Whether the endpoint has to be asked of the service first.
    """

    signed: bool = True
    tokens: tuple[str, ...] = ()
    compressed: bool = False
    host_prefix: str = ""
    url_member: str | None = None
    endpoint_members: Mapping[str, str] = attrs.field(factory=dict)
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    discovered: bool = False


@attrs.frozen
class OperationModel:
    """One operation; ``input`` and ``output`` name structures, made up where the model has none."""

    name: str
    input: str
    output: str
    errors: tuple[str, ...]
    documentation: str
    pagination: Mapping[str, Any] | None
    traits: TraitsModel

    @property
    def method(self) -> str:
        """The name of its method."""
        return snake_case(self.name)


def why_left_out(body: Mapping[str, Any], shapes: Mapping[str, ShapeModel]) -> str | None:
    """Return why an operation cannot be generated, or ``None`` if it can be."""
    roots = [class_name(body[way]["shape"]) for way in ("input", "output") if way in body]
    if any(shapes[name].traits.get("eventstream") for name in reachable(shapes, roots)):
        return "it streams events, which is not JSON alone"
    http = body.get("http", {})
    if (http.get("method", "POST"), http.get("requestUri", "/")) != ("POST", "/"):
        return f"it is a {http.get('method')} of {http.get('requestUri')}, not a POST of /"
    if not _schemes(body) & (_SIGNED | _UNSIGNED):
        return f"it wants {' or '.join(sorted(_schemes(body)))}, not Signature Version 4"
    members = shapes[roots[0]].members if "input" in body else ()
    if unknown := set(_labels(body)) - {member.wire for member in members}:
        return f"the prefix of its host names {sorted(unknown)}, which it is not asked with"
    return None


def read_operations(
    raw: Mapping[str, Any],
    paginators: Mapping[str, Any],
    shapes: dict[str, ShapeModel],
    overlay: Overlay,
    endpoint_parameters: frozenset[str],
) -> Iterator[OperationModel]:
    """Yield the operations in order; put the structures that they need for themselves into ``shapes``."""
    taken: set[str] = set()
    for name, body in sorted(raw.items()):
        request = _own_structure(body.get("input"), f"{name}Request", shapes, taken)
        response = _own_structure(body.get("output"), f"{name}Response", shapes, taken)
        errors = tuple(sorted(class_name(error["shape"]) for error in body.get("errors", ())))
        shapes[request] = _without_required_tokens(shapes[request])
        shapes[response] = shapes[response].with_names_out_of_the_way(frozenset({"metadata"}))
        pagination = paginators.get(name)
        if pagination is not None and not _is_plain(pagination, shapes[request], shapes[response], shapes):
            pagination = None
        traits = _read_traits(body, shapes[request], overlay.endpoint_urls.get(name), endpoint_parameters)
        yield OperationModel(
            name, request, response, errors, body.get("documentation", ""), pagination, traits
        )


def _read_traits(
    body: Mapping[str, Any],
    request: ShapeModel,
    url_member: str | None,
    endpoint_parameters: frozenset[str],
) -> TraitsModel:
    names = {member.wire: member.name for member in request.members}
    return TraitsModel(
        signed=bool(_schemes(body) & _SIGNED),
        tokens=tuple(member.name for member in request.members if member.traits.get("idempotencyToken")),
        compressed="gzip" in body.get("requestcompression", {}).get("encodings", ()),
        host_prefix=_LABEL.sub(lambda label: f"{{{names[label[1]]}}}", _host_prefix(body)),
        url_member=None if url_member is None else names[url_member],
        endpoint_members={
            member.traits["contextParam"]["name"]: member.name
            for member in request.members
            if member.traits.get("contextParam", {}).get("name") in endpoint_parameters
        },
        parameters={
            name: parameter["value"] for name, parameter in body.get("staticContextParams", {}).items()
        },
        discovered=bool(body.get("endpointdiscovery", {}).get("required")),
    )


def _schemes(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the ways in which the operation may be signed."""
    return frozenset(body.get("auth") or [body.get("authtype", "v4")])


def _host_prefix(body: Mapping[str, Any]) -> str:
    prefix: str = body.get("endpoint", {}).get("hostPrefix", "")
    return prefix


def _labels(body: Mapping[str, Any]) -> list[str]:
    return _LABEL.findall(_host_prefix(body))


def _without_required_tokens(request: ShapeModel) -> ShapeModel:
    """Return the request with the tokens that are filled in as optional members."""
    members = tuple(
        attrs.evolve(member, required=False) if member.traits.get("idempotencyToken") else member
        for member in request.members
    )
    return attrs.evolve(request, members=members)


def _is_plain(
    pagination: Mapping[str, Any], request: ShapeModel, response: ShapeModel, shapes: Mapping[str, ShapeModel]
) -> bool:
    """Say whether it pages by one token through one list, which is what ``Paginator`` does.

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
    """Return the structure's name; an operation that has none, or shares one, gets a copy of its own."""
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
