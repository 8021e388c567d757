"""The shapes of a service model: structures and their members, lists, maps, scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.names import class_name, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCALARS = frozenset(
    {"string", "character", "integer", "long", "float", "double", "boolean", "timestamp", "blob"}
)
# What ``ServiceError`` and exceptions in general have; ``message`` is its own.
_OF_ERRORS = frozenset({
    "add_note", "args", "attempts", "code", "default_code", "default_status", "members", "modelled_retryable",
    "modelled_throttling", "operation", "request_id", "retry_delay", "retryable", "status", "throttling",
    "with_traceback",
})  # fmt: skip
_TIMESTAMPS = frozenset({"iso8601", "rfc822", "unixTimestamp"})


@attrs.frozen
class MemberModel:
    """One member of a structure in the model; ``name`` is its name in Python."""

    wire: str
    shape: str
    required: bool
    documentation: str
    traits: Mapping[str, Any]
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

    @property
    def is_union(self) -> bool:
        """Whether it is a structure of which exactly one member is set."""
        return bool(self.traits.get("union"))

    @property
    def is_sparse(self) -> bool:
        """Whether it is a list or a map that may have nulls in it."""
        return bool(self.traits.get("sparse"))

    def references(self) -> tuple[str, ...]:
        """Return the names of the shapes it is made of."""
        if self.type == "structure":
            return tuple(member.shape for member in self.members)
        if self.type == "list":
            return (self.element("member"),)
        if self.type == "map":
            return (self.element("key"), self.element("value"))
        return ()

    def element(self, part: str) -> str:
        """Return the name of the shape that ``member``, ``key`` or ``value`` of a list or map has."""
        return class_name(self.traits[part]["shape"])

    def with_names_out_of_the_way(self, taken: frozenset[str]) -> ShapeModel:
        """Return the same shape, its members renamed where its class has such an attribute anyway."""
        members = tuple(
            attrs.evolve(member, name=f"{member.name}_") if member.name in taken else member
            for member in self.members
        )
        return attrs.evolve(self, members=members)


def read_shapes(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, ShapeModel]:
    """Return the shapes of a model by their names in Python.

    Raises:
        GeneratorError: A shape has a type or a timestamp format that the generator does not know.
    """
    shapes = {class_name(shape): _read_shape(class_name(shape), body) for shape, body in sorted(raw.items())}
    for shape in list(shapes.values()):
        for member in shape.members:
            _add_own_format(shapes, member)
    return shapes


def _read_shape(name: str, body: Mapping[str, Any]) -> ShapeModel:
    kind = body["type"]
    if kind not in _SCALARS | {"structure", "list", "map"}:
        raise GeneratorError(f"{name}: unknown type {kind!r}")
    _check_format(name, body)
    if kind == "character":
        kind = "string"
    if body.get("document"):
        kind = "document"
    required = set(body.get("required", ()))
    members = tuple(
        MemberModel(wire, _member_shape(member), wire in required, member.get("documentation", ""), member)
        for wire, member in body.get("members", {}).items()
    )
    shape = ShapeModel(name, kind, body, members, body.get("documentation", ""))
    return shape.with_names_out_of_the_way(_OF_ERRORS) if shape.is_error else shape


def _check_format(name: str, traits: Mapping[str, Any]) -> None:
    if (form := traits.get("timestampFormat", "unixTimestamp")) not in _TIMESTAMPS:
        raise GeneratorError(f"{name}: unknown timestamp format {form!r}")


def _member_shape(member: Mapping[str, Any]) -> str:
    """Return the name of a member's shape; a member with a format of its own has a shape of its own."""
    name = class_name(member["shape"])
    return f"{name}:{member['timestampFormat']}" if "timestampFormat" in member else name


def _add_own_format(shapes: dict[str, ShapeModel], member: MemberModel) -> None:
    if "timestampFormat" in member.traits:
        _check_format(member.wire, member.traits)
        source = shapes[class_name(member.traits["shape"])]
        traits = {**source.traits, "timestampFormat": member.traits["timestampFormat"]}
        shapes[member.shape] = attrs.evolve(source, name=member.shape, traits=traits)


def reachable(shapes: Mapping[str, ShapeModel], roots: Iterable[str]) -> set[str]:
    """Return the names of all shapes that ``roots`` are made of, themselves included."""
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(shapes[name].references())
    return seen
