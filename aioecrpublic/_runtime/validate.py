"""A request against the constraints of the model, before anything is sent.

Each problem is one line that begins with the member's path, in the names of the Python API.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from aioecrpublic._runtime.errors import ValidationError
from aioecrpublic._runtime.shapes import (
    Blob,
    BlobReader,
    Boolean,
    ListOf,
    MapOf,
    Number,
    String,
    Structure,
    Timestamp,
)

if TYPE_CHECKING:
    from aioecrpublic._runtime.shapes import Operation, Service, Shape

Hint: TypeAlias = Callable[[str], str | None]
"""What is wrong with a string of a certain shape in plain words, if its usual mistake was made."""

_SHOWN = 60


def check(
    service: Service,
    operation: Operation[Any, Any],
    request: object,
    hints: Mapping[str, Hint] = {},
) -> None:
    """Refuse a request that the model forbids.

    Raises:
        ValidationError: With every problem there is.
    """
    found = problems(service, operation, request, hints)
    if found:
        raise ValidationError(operation.method, found)


def problems(
    service: Service,
    operation: Operation[Any, Any],
    request: object,
    hints: Mapping[str, Hint] = {},
) -> tuple[str, ...]:
    """Everything in ``request`` that the model forbids, a line each."""
    return tuple(_Checker(service.shapes, hints).check(operation.request_shape, request, ""))


class _Checker:
    def __init__(self, shapes: Mapping[str, Shape], hints: Mapping[str, Hint]) -> None:
        self._shapes = shapes
        self._hints = hints

    def check(self, name: str, value: Any, path: str) -> Iterator[str]:
        shape = self._shapes[name]
        match shape:
            case String():
                yield from self._string(name, shape, value, path)
            case Structure():
                yield from self._structure(shape, value, path)
            case ListOf():
                yield from self._list(shape, value, path)
            case MapOf():
                yield from self._map(shape, value, path)
            case Number():
                yield from _number(shape, value, path)
            case Blob():
                yield from _blob(shape, value, path)
            case Boolean():
                if not isinstance(value, bool):
                    yield _wrong_type(path, value, "a bool")
            case Timestamp():
                yield from _timestamp(value, path)

    def _structure(self, shape: Structure, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, shape.cls):
            yield _wrong_type(path, value, shape.cls.__name__)
            return
        for member in shape.members:
            inner = getattr(value, member.name)
            where = f"{path}.{member.name}" if path else member.name
            if inner is not None:
                yield from self.check(member.shape, inner, where)
            elif member.required:
                yield f"{where} is required"

    def _list(self, shape: ListOf, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
            yield _wrong_type(path, value, "a list")
            return
        yield from _bounds(path, len(value), shape.min, shape.max, "has {} items")
        for index, element in enumerate(value):
            yield from self.check(shape.element, element, f"{path}[{index}]")

    def _map(self, shape: MapOf, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield _wrong_type(path, value, "a mapping")
            return
        yield from _bounds(path, len(value), shape.min, shape.max, "has {} entries")
        for key, item in value.items():
            yield from self.check(shape.key, key, f"{path} key {key!r}")
            yield from self.check(shape.value, item, f"{path}[{key!r}]")

    def _string(self, name: str, shape: String, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield _wrong_type(path, value, "a str")
            return
        bad = [*_bounds(path, len(value), shape.min, shape.max, "is {} characters long")]
        if not bad and shape.pattern and not _compiled(shape.pattern).fullmatch(value):
            bad = [f"{path} {_shown(value)} does not match {shape.pattern}"]
        hint = self._hints[name](value) if bad and name in self._hints else None
        yield from [f"{path} {hint}"] if hint else bad


def _number(shape: Number, value: Any, path: str) -> Iterator[str]:
    kinds = (int,) if shape.integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        yield _wrong_type(path, value, "an int" if shape.integer else "a float")
    elif shape.min is not None and value < shape.min:
        yield f"{path} is {value}, at least {shape.min}"
    elif shape.max is not None and value > shape.max:
        yield f"{path} is {value}, at most {shape.max}"


def _blob(shape: Blob, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, memoryview):
        size = value.nbytes
    elif isinstance(value, bytes | bytearray | BlobReader):
        size = len(value)
    else:
        yield _wrong_type(path, value, "bytes")
        return
    yield from _bounds(path, size, shape.min, shape.max, "is {} bytes long")


def _timestamp(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dt.datetime):
        yield _wrong_type(path, value, "a datetime")
    elif value.tzinfo is None:
        yield f"{path} has no time zone"


def _bounds(path: str, size: int, least: int | None, most: int | None, words: str) -> Iterator[str]:
    if least is not None and size < least:
        yield f"{path} {words.format(size)}, at least {least}"
    elif most is not None and size > most:
        yield f"{path} {words.format(size)}, at most {most}"


def _wrong_type(path: str, value: object, wanted: str) -> str:
    return f"{path or 'the request'} is {type(value).__name__}, not {wanted}"


def _shown(value: str) -> str:
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
