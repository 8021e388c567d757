"""From attrs objects to the JSON of the wire: cattrs compiles a function a class; None is left out."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

import cattrs
from cattrs.gen import make_dict_unstructure_fn, override

from aioecrpublic._runtime.body import BlobSegment, blob_reader
from aioecrpublic._runtime.compiled import Compiled
from aioecrpublic._runtime.shapes import Blob, BlobReader, ListOf, MapOf, Response, Structure, Timestamp

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
        match shape:
            case Timestamp():
                return _iso if shape.iso else _epoch_seconds
            case Blob():
                return _blob_segment
            case Structure():
                return self.nested(name)
            case ListOf():
                return functools.partial(_list, self.value(shape.element))
            case MapOf():
                return functools.partial(_map, self.value(shape.value))
            case _:
                return _identity

    def _compile(self, shape: Structure) -> Convert:
        members: dict[str, Any] = {
            member.name: override(
                rename=member.wire,
                unstruct_hook=self.value(member.shape),
                omit_if_default=not member.required,
            )
            for member in shape.members
        }
        if issubclass(shape.cls, Response):
            members["metadata"] = override(omit=True)
        return make_dict_unstructure_fn(shape.cls, self._converter, _cattrs_use_linecache=False, **members)


def _list(element: Convert, values: Any) -> list[Any]:
    return [element(value) for value in values]


def _map(item: Convert, values: Any) -> dict[str, Any]:
    return {key: item(value) for key, value in values.items()}


def _identity(value: Any) -> Any:
    return value


def _epoch_seconds(value: dt.datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def _iso(value: dt.datetime) -> str:
    # To the millisecond, as Smithy writes a "date-time".
    text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _blob_segment(value: bytes | bytearray | memoryview | BlobReader) -> BlobSegment:
    reader = blob_reader(value)
    return BlobSegment(reader, len(reader))
