"""From the JSON of the wire to attrs objects: a function a class, compiled when it is first needed.

The functions do what cattrs' would, with the checks of strings and timestamps, which most members are, in
line: long lists take half of the time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn, cast

import attrs
import pybase64

from aioecrpublic._common.dates import http_date
from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._common.logs import get_logger
from aioecrpublic._runtime.compiled import Compiled
from aioecrpublic._runtime.shapes import (
    Blob,
    Boolean,
    Document,
    ListOf,
    MapOf,
    Number,
    String,
    Structure,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aioecrpublic._runtime.compiled import Convert
    from aioecrpublic._runtime.shapes import Member, Shape

_UTC = dt.UTC
_FRACTION = re.compile(r"(?<=:[0-9]{2})\.([0-9]+)")
_SHOWN = 40
_log = get_logger("aioecrpublic.decode")


class SerdeError(ECRPublicError):
    """JSON that is not JSON, or not of the shape that the model says."""


class MissingMemberError(SerdeError):
    """A required member that is not there.

    Attributes:
        member: Its name on the wire.
    """

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} is required")
        self.member = member


class Decoder(Compiled):
    """The functions for one service's shapes: from a JSON object to an instance of a structure's class.

    Args:
        shapes: The shapes by their names.
        strict: Whether what is required has to be there, as a server wants it.
    """

    def __init__(self, shapes: Mapping[str, Shape], *, strict: bool) -> None:
        super().__init__(shapes)
        self._strict = strict

    def value(self, name: str) -> Convert:
        """The function from JSON that is not ``null`` to a value of the shape called ``name``."""
        shape = self._shapes[name]
        convert: Convert
        match shape:
            case Structure():
                convert = self.nested(name)
            case ListOf():
                convert = self._list(name, shape)
            case MapOf() if shape.sparse:
                convert = functools.partial(_sparse_map, self.value(shape.value))
            case MapOf():
                convert = functools.partial(_map, name, self.value(shape.value))
            case String() if shape.enum is not None:
                convert = _enum_converter(shape.enum)
            case Number() if not shape.integer:
                convert = _number
            case _:
                convert = _SCALARS[type(shape)]
        return convert

    def _list(self, name: str, shape: ListOf) -> Convert:
        if shape.sparse:
            return functools.partial(_sparse_list, self.value(shape.element))
        if isinstance(self._shapes[shape.element], Structure):
            # The structure's own function is looked up once a list, not once an element.
            return lambda values: _list(name, self.function(shape.element), values)
        return functools.partial(_list, name, self.value(shape.element))

    def _compile(self, shape: Structure) -> Convert:
        scope: dict[str, Any] = {}
        # Nothing in the text comes from outside of the service's own tables.
        exec("\n".join(["def convert(value):", *self._lines(shape, scope)]), scope)  # noqa: S102
        return cast("Convert", scope["convert"])

    def _lines(self, shape: Structure, scope: dict[str, Any]) -> Iterator[str]:
        """The body of the function, indented; what it uses is put into ``scope``."""
        scope |= {"cls": shape.cls, "wrong": _wrong, "fromtimestamp": dt.datetime.fromtimestamp, "utc": _UTC}
        yield "    if value.__class__ is not dict:"
        yield f"        wrong(value, 'a {shape.cls.__name__}')"
        yield "    get = value.get"
        for index, member in enumerate(shape.members):
            yield from self._member_lines(index, member, shape.cls, scope)
        arguments = ", ".join(f"{member.name}=v{index}" for index, member in enumerate(shape.members))
        yield f"    return cls({arguments})"

    def _member_lines(self, index: int, member: Member, cls: type, scope: dict[str, Any]) -> Iterator[str]:
        """The lines that read one member; ``null`` is as good as absent."""
        variable = f"v{index}"
        scope[f"to_{variable}"] = self.value(member.shape)
        yield f"    {variable} = get({member.wire!r})"
        shape = self._shapes[member.shape]
        optional = not member.required and not isinstance(shape, ListOf | MapOf)
        if optional and isinstance(shape, String) and shape.enum is None:
            yield f"    if {variable}.__class__ is not str and {variable} is not None:"
            yield f"        to_{variable}({variable})"
        elif optional and isinstance(shape, Timestamp):
            yield f"    if {variable}.__class__ is float:"
            yield f"        {variable} = fromtimestamp({variable}, utc)"
            yield f"    elif {variable} is not None:"
            yield f"        {variable} = to_{variable}({variable})"
        else:
            scope[f"no_{variable}"] = self._absent(member, cls)
            yield f"    {variable} = no_{variable}() if {variable} is None else to_{variable}({variable})"

    def _absent(self, member: Member, cls: type) -> Callable[[], Any]:
        """What stands for a member that is not there.

        What a service leaves out although it is required becomes its shape's zero, as Smithy clients do it
        ("client error correction"): a reply is no place to be strict about what may be missing.
        """
        if not member.required:
            default = getattr(attrs.fields(cls), member.name).default
            return default.factory if isinstance(default, attrs.Factory) else _none  # type: ignore[arg-type]
        if self._strict:

            def refuse() -> None:
                raise MissingMemberError(member.wire)

            return refuse
        shape = self._shapes[member.shape]
        zero = self.value(member.shape)
        raw = _ZEROS.get(type(shape), str)
        return lambda: zero(raw())


def _none() -> None:
    return None


def _wrong(value: Any, wanted: str) -> NoReturn:
    raise TypeError(f"a JSON {type(value).__name__} where {wanted} belongs")


def _string(value: Any) -> str:
    if value.__class__ is not str:
        _wrong(value, "a string")
    return value


def _integer(value: Any) -> int:
    if value.__class__ is int:
        return value
    if value.__class__ is float and value.is_integer():
        return int(value)
    _wrong(value, "an integer")


def _number(value: Any) -> float:
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    if value.__class__ is str and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    _wrong(value, "a number")


# JSON has no literal for these; the protocol writes them as strings.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _boolean(value: Any) -> bool:
    if value.__class__ is not bool:
        _wrong(value, "a boolean")
    return value


def _timestamp(value: Any) -> dt.datetime:
    if value.__class__ is float or value.__class__ is int:
        return dt.datetime.fromtimestamp(value, _UTC)
    return _parse_timestamp(_string(value))


def _parse_timestamp(text: str) -> dt.datetime:
    """Read a timestamp written out: epoch seconds as a string, ISO 8601, or a date as HTTP has it."""
    for read in (_epoch, dt.datetime.fromisoformat):
        with contextlib.suppress(ValueError):
            moment = read(text)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=_UTC)
    return _http_date(text)


def _epoch(text: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(text), _UTC)


def _http_date(text: str) -> dt.datetime:
    """Read an ``http-date`` of Smithy's, which may have a fraction of a second where HTTP's has none."""
    fraction = _FRACTION.search(text)
    moment = http_date(text if fraction is None else text.replace(fraction[0], "", 1))
    if moment is None:
        raise ValueError(f"{text[:_SHOWN]!r} is not a timestamp")
    return moment if fraction is None else moment.replace(microsecond=int(fraction[1].ljust(6, "0")[:6]))


def _blob(value: Any) -> bytes:
    # A view is one of base64 that is still in the message (``parse``).
    text = value if value.__class__ is memoryview else _string(value)
    return pybase64.b64decode(text, validate=True)


def _as_it_is(value: Any) -> Any:
    return value


_SCALARS: Mapping[type[Shape], Convert] = {
    String: _string,
    Number: _integer,
    Boolean: _boolean,
    Timestamp: _timestamp,
    Document: _as_it_is,
    Blob: _blob,
}


def _enum_converter(enum: type[str]) -> Convert:
    known: Mapping[str, str] = {str(value): value for value in enum}  # type: ignore[attr-defined]

    def convert(value: Any) -> str:
        text = _string(value)
        return known.get(text, text)

    return convert


def _list(name: str, element: Convert, values: Any) -> list[Any]:
    if values.__class__ is not list:
        _wrong(values, "a list")
    found = [element(value) for value in values if value is not None]
    if len(found) != len(values):
        _warn_of_nulls(name)
    return found


def _sparse_list(element: Convert, values: Any) -> list[Any]:
    if values.__class__ is not list:
        _wrong(values, "a list")
    return [None if value is None else element(value) for value in values]


def _map(name: str, item: Convert, values: Any) -> dict[str, Any]:
    if values.__class__ is not dict:
        _wrong(values, "an object")
    found = {key: item(value) for key, value in values.items() if value is not None}
    if len(found) != len(values):
        _warn_of_nulls(name)
    return found


def _sparse_map(item: Convert, values: Any) -> dict[str, Any]:
    if values.__class__ is not dict:
        _wrong(values, "an object")
    return {key: None if value is None else item(value) for key, value in values.items()}


@functools.cache
def _warn_of_nulls(name: str) -> None:
    # As Smithy has it: a null is no element of a list or a map whose model does not say that it is sparse.
    _log.warning("the service sent nulls in %s, which are left out; this is said once", name)


_ZEROS: Mapping[type[Shape], Callable[[], Any]] = {
    Structure: dict,
    MapOf: dict,
    ListOf: list,
    Number: int,
    Timestamp: int,
    Boolean: bool,
    Document: _none,
}
