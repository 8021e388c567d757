"""From attrs objects to the JSON of the wire: cattrs compiles a function a class; None is left out."""

from __future__ import annotations

import datetime as dt
import functools
import math
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import attrs
import cattrs
from cattrs.gen import make_dict_unstructure_fn, override

from aioecrpublic._runtime.body import BlobSegment, blob_reader
from aioecrpublic._runtime.compiled import Compiled
from aioecrpublic._runtime.shapes import (
    AbsentDict,
    AbsentList,
    Blob,
    BlobReader,
    ListOf,
    MapOf,
    Number,
    Response,
    Structure,
    Timestamp,
    is_absent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.compiled import Convert
    from aioecrpublic._runtime.shapes import Shape


class Encoder(Compiled):
    """The functions for one service's shapes: from an instance of a structure's class to a dictionary.

    Args:
        shapes: The service's shapes by their names.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        super().__init__(shapes)
        self._converter = cattrs.Converter()

    def value(self, name: str) -> Convert:
        """The function for a value of the shape called ``name``."""
        shape = self._shapes[name]
        convert: Convert
        match shape:
            case Timestamp():
                convert = _TIMESTAMPS[shape.format]
            case Blob():
                convert = _blob_segment
            case Structure():
                convert = self.nested(name)
            case ListOf():
                convert = functools.partial(_list, self._element(shape.element, sparse=shape.sparse))
            case MapOf():
                convert = functools.partial(_map, self._element(shape.value, sparse=shape.sparse))
            case Number() if not shape.integer:
                convert = _number
            case _:
                convert = _identity
        return convert

    def _element(self, name: str, *, sparse: bool) -> Convert:
        """The function for an element of a list or a map."""
        convert = self.value(name)
        return (lambda value: None if value is None else convert(value)) if sparse else convert

    def _compile(self, shape: Structure) -> Convert:
        members: dict[str, Any] = {
            member.name: override(
                rename=member.wire,
                unstruct_hook=self.value(member.shape),
                omit_if_default=not member.required,
            )
            for member in shape.members
        }
        lists = _lists_that_may_be_absent(shape)
        for name, _ in lists:
            members[name] = attrs.evolve(members[name], omit_if_default=False)
        if issubclass(shape.cls, Response):
            members["metadata"] = override(omit=True)
        convert: Convert = make_dict_unstructure_fn(
            shape.cls, self._converter, _cattrs_use_linecache=False, **members
        )
        return functools.partial(_without_absent, convert, lists) if lists else convert


def _lists_that_may_be_absent(shape: Structure) -> tuple[tuple[str, str], ...]:
    """Return the lists and maps, by our names and the wire's, that are empty where they are absent."""
    factories = {
        field.name: field.default.factory
        for field in attrs.fields(shape.cls)
        if isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
    }
    return tuple(
        (member.name, member.wire)
        for member in shape.members
        if factories.get(member.name) in {AbsentList, AbsentDict}
    )


def _without_absent(convert: Convert, lists: tuple[tuple[str, str], ...], value: Any) -> dict[str, Any]:
    message: dict[str, Any] = convert(value)
    for name, wire in lists:
        if is_absent(getattr(value, name)):
            del message[wire]
    return message


def _list(element: Convert, values: Any) -> list[Any]:
    return [element(value) for value in values]


def _map(item: Convert, values: Any) -> dict[str, Any]:
    return {key: item(value) for key, value in values.items()}


def _identity(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    # JSON has no literal for these; the protocol writes them as strings.
    if value.__class__ is float and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _epoch_seconds(value: dt.datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def _iso(value: dt.datetime) -> str:
    # To the millisecond, as Smithy writes a "date-time".
    text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _http_date(value: dt.datetime) -> str:
    return format_datetime(value.astimezone(dt.UTC), usegmt=True)


_TIMESTAMPS: Mapping[str, Convert] = {
    "unixTimestamp": _epoch_seconds,
    "iso8601": _iso,
    "rfc822": _http_date,
}


def _blob_segment(value: bytes | bytearray | memoryview | BlobReader) -> BlobSegment:
    reader = blob_reader(value)
    return BlobSegment(reader, len(reader))
