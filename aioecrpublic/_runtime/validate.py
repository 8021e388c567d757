"""A request against the constraints of the model, before anything is sent.

Each problem is one line that begins with the member's path, in the names of the Python API.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from aioecrpublic._runtime.errors import ValidationError
from aioecrpublic._runtime.shapes import (
    AbsentDict,
    AbsentList,
    Blob,
    Document,
    ListOf,
    MapOf,
    Number,
    String,
    Structure,
    Timestamp,
    is_absent,
    is_blob_reader,
)

if TYPE_CHECKING:
    from aioecrpublic._runtime.shapes import Operation, Service, Shape

Hint: TypeAlias = Callable[[str], str | None]
"""What is wrong with a string of a certain shape in plain words, if its usual mistake was made."""

_SHOWN = 60
_ABSENT = frozenset({AbsentDict, AbsentList})


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
    checker = _Checker(service.shapes, hints)
    try:
        checker.check(operation.request_shape, request, "")
    except RecursionError:
        return ("the request is nested too deeply",)
    return tuple(checker.found)


class _Checker:
    """Goes through a value and notes in ``found`` what is wrong with it."""

    def __init__(self, shapes: Mapping[str, Shape], hints: Mapping[str, Hint]) -> None:
        self.found: list[str] = []
        self._shapes = shapes
        self._hints = hints

    def check(self, name: str, value: Any, path: str) -> None:
        shape = self._shapes[name]
        match shape:
            case Structure():
                self._structure(shape, value, path)
            case String():
                self._string(name, shape, value, path)
            case ListOf():
                self._list(shape, value, path)
            case MapOf():
                self._map(shape, value, path)
            case Number():
                self._number(shape, value, path)
            case Blob():
                self._blob(shape, value, path)
            case Timestamp():
                self._timestamp(value, path)
            case Document():
                self._document(value, path)
            case _:
                if not isinstance(value, bool):
                    self._wrong_type(path, value, "a bool")

    def _structure(self, shape: Structure, value: Any, path: str) -> None:
        if not isinstance(value, shape.cls):
            self._wrong_type(path, value, shape.cls.__name__)
            return
        for member in shape.members:
            inner = getattr(value, member.name)
            # As ``is_absent`` says, without a call for each member.
            if inner is not None and (inner or inner.__class__ not in _ABSENT):
                self.check(member.shape, inner, f"{path}.{member.name}" if path else member.name)
            elif member.required:
                self.found.append(
                    f"{path}.{member.name} is required" if path else f"{member.name} is required"
                )
        if shape.union:
            self._union(shape, value, path)

    def _union(self, shape: Structure, value: Any, path: str) -> None:
        present = [member.name for member in shape.members if not is_absent(getattr(value, member.name))]
        if len(present) != 1:
            known = ", ".join(member.name for member in shape.members)
            given = ", ".join(present) or "none"
            self.found.append(f"{path or 'the request'} must have exactly one of {known} (got {given})")

    def _list(self, shape: ListOf, value: Any, path: str) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
            self._wrong_type(path, value, "a list")
            return
        self._bounds(path, len(value), shape, "has {} items")
        for index, element in enumerate(value):
            if element is not None or not shape.sparse:
                self.check(shape.element, element, f"{path}[{index}]")

    def _map(self, shape: MapOf, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            self._wrong_type(path, value, "a mapping")
            return
        self._bounds(path, len(value), shape, "has {} entries")
        for key, item in value.items():
            self.check(shape.key, key, f"{path} key {key!r}")
            if item is not None or not shape.sparse:
                self.check(shape.value, item, f"{path}[{key!r}]")

    def _string(self, name: str, shape: String, value: Any, path: str) -> None:
        if not isinstance(value, str):
            self._wrong_type(path, value, "a str")
            return
        before = len(self.found)
        within = self._bounds(path, len(value), shape, "is {} characters long")
        if within and shape.pattern and not _compiled(shape.pattern).fullmatch(value):
            self.found.append(f"{path} {_shown(value)} does not match {shape.pattern}")
        if len(self.found) > before and name in self._hints and (hint := self._hints[name](value)):
            self.found[before:] = [f"{path} {hint}"]

    def _number(self, shape: Number, value: Any, path: str) -> None:
        kinds = (int,) if shape.integer else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            self._wrong_type(path, value, "an int" if shape.integer else "a float")
        else:
            self._bounds(path, value, shape, "is {}")

    def _blob(self, shape: Blob, value: Any, path: str) -> None:
        if isinstance(value, bytes | bytearray | memoryview) or is_blob_reader(value):
            size = value.nbytes if isinstance(value, memoryview) else len(value)
            self._bounds(path, size, shape, "is {} bytes long")
        else:
            self._wrong_type(path, value, "bytes")

    def _timestamp(self, value: Any, path: str) -> None:
        if not isinstance(value, dt.datetime):
            self._wrong_type(path, value, "a datetime")
        elif value.tzinfo is None:
            self.found.append(f"{path} has no time zone")

    def _document(self, value: Any, path: str) -> None:
        match value:
            case None | str() | bool() | int():
                return
            case float():
                if not math.isfinite(value):
                    self.found.append(f"{path} is {value}, which JSON does not have")
            case dict():
                for key, item in value.items():
                    if not isinstance(key, str):
                        self._wrong_type(f"{path} key {key!r}", key, "a str")
                    self._document(item, f"{path}[{key!r}]")
            case list() | tuple():
                for index, item in enumerate(value):
                    self._document(item, f"{path}[{index}]")
            case _:
                self._wrong_type(path, value, "a value of JSON")

    def _bounds(
        self, path: str, size: float, shape: String | Number | Blob | ListOf | MapOf, words: str
    ) -> bool:
        """Whether ``size`` is within the shape's bounds."""
        if shape.min is not None and size < shape.min:
            self.found.append(f"{path} {words.format(size)}, at least {shape.min}")
        elif shape.max is not None and size > shape.max:
            self.found.append(f"{path} {words.format(size)}, at most {shape.max}")
        else:
            return True
        return False

    def _wrong_type(self, path: str, value: object, wanted: str) -> None:
        self.found.append(f"{path or 'the request'} is {type(value).__name__}, not {wanted}")


def _shown(value: str) -> str:
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
