"""Which Python type a shape has, by the direction it travels in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic.codegen.model import ServiceModel
    from aioecrpublic.codegen.shapes import MemberModel, ShapeModel

_SCALARS: Mapping[str, str] = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "boolean": "bool",
    "timestamp": "dt.datetime",
    "document": "JSON",
}

# What makes the value of a list or a map that is absent: where it may be sent too, and where it is not.
_EMPTY = {"list": ("AbsentList", "list"), "map": ("AbsentDict", "dict")}


@attrs.frozen
class Annotator:
    """Annotations for one service's shapes.

    What only goes out takes the widest type that serialises (``Sequence``, ``Mapping``, any blob); what may
    come in has the exact type that parsing makes (``list``, ``dict``, ``bytes``).

    Attributes:
        model: The service.
        sent: Names of the shapes that only ever go out.
        received: Names of the shapes that only ever come in.
        prefix: What stands before a class of the service, such as ``types.``.
        quoted: Classes that are not defined yet where they are named.
    """

    model: ServiceModel
    sent: frozenset[str]
    received: frozenset[str]
    prefix: str = ""
    quoted: frozenset[str] = frozenset()

    def plain(self, name: str, *, outgoing: bool) -> str:
        """The type of the shape called ``name``."""
        shape = self.model.shapes[name]
        if shape.type == "structure":
            return f'"{self.prefix}{name}"' if name in self.quoted else self.prefix + name
        if shape.is_enum:
            return f"{self.prefix}{name} | str"
        if shape.type == "blob":
            return "BlobInput" if outgoing else "bytes"
        if shape.type == "list":
            return (
                f"{'Sequence' if outgoing else 'list'}[{self._element(shape, 'member', outgoing=outgoing)}]"
            )
        if shape.type == "map":
            value = self._element(shape, "value", outgoing=outgoing)
            return f"{'Mapping' if outgoing else 'dict'}[str, {value}]"
        return _SCALARS[shape.type]

    def _element(self, shape: ShapeModel, part: str, *, outgoing: bool) -> str:
        annotate = self.optional if shape.is_sparse else self.plain
        return annotate(shape.element(part), outgoing=outgoing)

    def optional(self, name: str, *, outgoing: bool) -> str:
        """The same, or ``None`` for absent."""
        plain = self.plain(name, outgoing=outgoing)
        return f'"{plain[1:-1]} | None"' if plain.startswith('"') else f"{plain} | None"

    def field(self, structure: ShapeModel, member: MemberModel) -> str:
        """The line that declares ``member`` in the class of ``structure``."""
        outgoing = structure.name in self.sent
        kind = self.model.shapes[member.shape].type
        if not outgoing and kind in _EMPTY and not structure.is_union:
            factory = _EMPTY[kind][structure.name in self.received]
            return (
                f"{member.name}: {self.plain(member.shape, outgoing=False)} = attrs.field(factory={factory})"
            )
        options = [] if member.required else ["default=None"]
        if f"{structure.name}.{member.wire}" in self.model.overlay.secrets or self._sensitive(member.shape):
            options.append("repr=show_secret")
        elif kind == "blob":
            options.append("repr=show_blob")
        annotate = self.plain if member.required else self.optional
        declaration = f"{member.name}: {annotate(member.shape, outgoing=outgoing)}"
        if options == ["default=None"]:
            return f"{declaration} = None"
        return f"{declaration} = attrs.field({', '.join(options)})" if options else declaration

    def _sensitive(self, name: str) -> bool:
        """Say whether a value is never shown; a structure within it looks after its own members."""
        shape = self.model.shapes[name]
        inner = shape.references() if shape.type in _EMPTY else ()
        return bool(shape.traits.get("sensitive")) or any(self._sensitive(part) for part in inner)
