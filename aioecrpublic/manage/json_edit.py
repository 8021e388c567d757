"""Setting one member of a JSON document and leaving every other character as it is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPACE: Final = re.compile(r"[ \t\n\r]*")
# Numbers are passed over; as floats they may have any number of digits.
_DECODER: Final = json.JSONDecoder(parse_int=float)


def set_member(text: str, names: Sequence[str], value: object) -> str:
    """Return a JSON object with the member at a path set and nothing else changed, not even white space.

    Objects on the way that are missing, or null, are made. Of several members of the same name the last is
    changed, which is the one that counts for readers. What is added is indented as its neighbours are.

    Args:
        text: The document, a JSON object.
        names: The path: the outermost member's name first.
        value: What to set it to, as ``json.dumps`` takes it.

    Raises:
        ValueError: The document, or a member on the way, is not a JSON object.
        RecursionError: The document is nested too deeply.
    """
    start = _skip_space(text, 0)
    _, end = _DECODER.raw_decode(text, start)
    if _skip_space(text, end) != len(text):
        raise ValueError(f"extra data after the document: char {end}")
    return _set(text, start, names, value, _Layout("\n\t", "\t"))


@attrs.frozen
class _Member:
    """A member of an object: the white space before its name, the name, and where its value is."""

    space: str
    name: str
    value: int
    end: int


@attrs.frozen
class _Layout:
    """The white space before each member of an object, and that of one level: none if all is in one line."""

    space: str
    unit: str

    @classmethod
    def of(cls, space: str, depth: int) -> _Layout:
        """Return the layout of an object by what stands before one of its members."""
        _, line_break, indentation = space.rpartition("\n")
        return cls(space, (indentation[: len(indentation) // depth] or "\t") if line_break else "")

    @property
    def indentation(self) -> str:
        return self.space.rpartition("\n")[2]

    @property
    def closing(self) -> str:
        """What stands before the closing brace."""
        return f"\n{self.indentation.removesuffix(self.unit)}" if self.unit else ""

    def nested(self) -> _Layout:
        """Return the layout of a member that is an object."""
        return _Layout(f"\n{self.indentation}{self.unit}", self.unit) if self.unit else self

    def render(self, name: str, value: object) -> str:
        """Return a member."""
        return f"{json.dumps(name)}: {self.render_value(value)}"

    def render_value(self, value: object) -> str:
        """Return the value of a member."""
        if not self.unit:
            return json.dumps(value)
        return json.dumps(value, indent=self.unit).replace("\n", f"\n{self.indentation}")


def _set(text: str, start: int, names: Sequence[str], value: object, empty: _Layout, depth: int = 1) -> str:
    """Set a member of the object at ``start``, laid out as ``empty`` if it has no members."""
    if not text.startswith("{", start):
        raise ValueError(f"not a JSON object: char {start}")
    members = list(_members(text, start))
    layout = _Layout.of(members[-1].space, depth) if members else empty
    name, *rest = names
    found = next((member for member in reversed(members) if member.name == name), None)
    if found and rest and not text.startswith("null", found.value):
        return _set(text, found.value, rest, value, layout.nested(), depth + 1)
    for outer in reversed(rest):
        value = {outer: value}
    if found:
        return text[: found.value] + layout.render_value(value) + text[found.end :]
    added = layout.space + layout.render(name, value)
    if members:
        return f"{text[: members[-1].end]},{added}{text[members[-1].end :]}"
    return text[: start + 1] + added + layout.closing + text[_skip_space(text, start + 1) :]


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield the members of the object at ``start`` of a valid document."""
    position = start + 1
    while True:
        quote = _skip_space(text, position)
        if text[quote] != '"':
            return
        name, after = _DECODER.raw_decode(text, quote)
        value = _skip_space(text, _skip_space(text, after) + 1)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(text[position:quote], name, value, end)
        separator = _skip_space(text, end)
        if text[separator] != ",":
            return
        position = separator + 1


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
