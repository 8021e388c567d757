"""JSON as Go's ``encoding/json`` reads it into structures, for files that Go programs write and read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import attrs

from aioecrpublic.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


@attrs.frozen
class GoObject:
    """A JSON object with all its members, of which several may have the same name."""

    members: list[tuple[str, GoJSON]] = attrs.field(factory=list, repr=False)

    def named(self, name: str) -> Iterator[GoJSON]:
        """Yield the values of all members of a name, in which Go's decoder does not heed case."""
        return (value for key, value in self.members if key.casefold() == name.casefold())


GoJSON: TypeAlias = "GoObject | list[GoJSON] | str | float | bool | None"


def parse_object(raw: bytes, where: str) -> GoObject:
    """Parse the JSON object that ``raw`` begins with; like Go's ``json.Decoder``, read no further.

    Nothing, white space and ``null`` give an empty object. A byte that is not UTF-8 spoils its own string
    only. A byte order mark is passed over (RFC 8259, section 8.1), which Go does not do.

    Args:
        raw: The document.
        where: What the document is, for messages.

    Raises:
        ImageError: It is not JSON, not an object, or nested too deeply.
    """
    text = raw.decode("utf-8-sig", "replace").lstrip(" \t\r\n")
    if not text:
        return GoObject()
    try:
        value: GoJSON = _DECODER.raw_decode(text)[0]
    except RecursionError:
        raise ImageError(f"{where}: JSON nested too deeply") from None
    except ValueError as error:
        raise ImageError(f"{where}: not valid JSON: {error}") from None
    if value is None:
        return GoObject()
    return as_object(value, f"{where}: the document")


def object_member(document: GoObject, name: str, where: str) -> dict[str, GoJSON]:
    """Return an object member as Go fills a map: members of the same name add up, null empties it.

    Raises:
        ImageError: It is something else.
    """
    found: dict[str, GoJSON] = {}
    for value in document.named(name):
        if value is None:
            found.clear()
        else:
            found.update(as_object(value, f"{where}: {name}").members)
    return found


def text_member(document: GoObject, name: str, where: str) -> str:
    """Return a text member, the last of its name; empty if it is absent or null.

    Raises:
        ImageError: It is something else.
    """
    found = ""
    for value in document.named(name):
        if value is not None:
            found = as_text(value, f"{where}: {name}")
    return found


def as_object(value: GoJSON, where: str) -> GoObject:
    """Return a value that must be an object."""
    if not isinstance(value, GoObject):
        raise ImageError(f"{where} must be an object")
    return value


def as_text(value: GoJSON, where: str) -> str:
    """Return a value that must be text; half of a character becomes U+FFFD."""
    if not isinstance(value, str):
        raise ImageError(f"{where} must be text")
    return _SURROGATES.sub("\ufffd", value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


# Numbers mean nothing here; as floats they may have any number of digits.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=GoObject, parse_int=float, parse_constant=_no_constant)
