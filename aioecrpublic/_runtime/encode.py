"""From attrs objects to the JSON of the wire: a function a class; what is ``None`` is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs

from aioecrpublic._runtime.body import BlobSegment, blob_reader
from aioecrpublic._runtime.compiled import Compiled
from aioecrpublic._runtime.shapes import Blob, BlobReader, ListOf, MapOf, Structure, Timestamp

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from aioecrpublic._runtime.compiled import Convert


class Encoder(Compiled):
    """The functions for one service's shapes: from an instance of a structure's class to a dictionary."""

    def value(self, name: str) -> Convert | None:
        """The function for a value of the shape called ``name``; ``None`` where JSON has it as it is."""
        shape = self._shapes[name]
        match shape:
            case Timestamp():
                return _epoch_seconds
            case Blob():
                return _blob_segment
            case Structure():
                return self.nested(name)
            case ListOf():
                return _list_converter(self.value(shape.element))
            case MapOf():
                return _map_converter(self.value(shape.value))
            case _:
                return None

    def _lines(self, shape: Structure, scope: dict[str, Any]) -> Iterator[str]:
        yield "    message = {}"
        fields = attrs.fields_dict(cast("type[attrs.AttrsInstance]", shape.cls))
        for index, member in enumerate(shape.members):
            convert = scope[f"to_{index}"] = self.value(member.shape)
            # A list that nobody asked for is empty by default, and as good as absent.
            listed = isinstance(fields[member.name].default, attrs.Factory)  # type: ignore[arg-type]
            yield f"    item = value.{member.name}"
            yield f"    if item{'' if listed else ' is not None'}:"
            yield f"        message[{member.wire!r}] = {'item' if convert is None else f'to_{index}(item)'}"
        yield "    return message"


def _list_converter(element: Convert | None) -> Convert:
    # A new list in any case: JSON has no other sequences.
    return list if element is None else lambda values: [element(value) for value in values]


def _map_converter(item: Convert | None) -> Convert:
    return dict if item is None else lambda values: {key: item(value) for key, value in values.items()}


def _epoch_seconds(value: dt.datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def _blob_segment(value: bytes | bytearray | memoryview | BlobReader) -> BlobSegment:
    reader = blob_reader(value)
    return BlobSegment(reader, len(reader))
