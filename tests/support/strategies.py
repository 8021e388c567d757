"""Requests and replies of any operation, generated from the shape tables, and their words in botocore."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, cast

import attrs
from hypothesis import strategies as st

from aioecrpublic._generated.service import SHAPES
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
    from hypothesis.strategies import DrawFn, SearchStrategy

    from aioecrpublic._runtime.shapes import Operation, Shape

_MOST = 40
_TEXT = st.characters(codec="utf-8", exclude_characters="\x00")


@functools.cache
def value(name: str) -> SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind of shape
    """Values of the shape called ``name`` that the model allows."""
    shape = SHAPES[name]
    match shape:
        case String():
            return _string(shape)
        case Number():
            least = -(2**53) if shape.min is None else int(shape.min)
            return st.integers(least, 2**53 if shape.max is None else int(shape.max))
        case Boolean():
            return st.booleans()
        case Timestamp():
            return st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - hypothesis adds it
        case Blob():
            return st.binary(min_size=shape.min or 0, max_size=300)
        case ListOf():
            least = shape.min or 0
            return st.lists(value(shape.element), min_size=least, max_size=max(least, min(shape.max or 4, 4)))
        case MapOf():
            return st.dictionaries(value(shape.key), value(shape.value), max_size=3)
        case Document():
            return st.dictionaries(st.text(_TEXT, max_size=5), st.integers(0, 9), max_size=3)
        case Structure():
            return structure(shape)


def _string(shape: String) -> SearchStrategy[str]:
    if shape.enum is not None:
        return st.sampled_from([str(member) for member in shape.enum])  # type: ignore[attr-defined]
    least, most = shape.min or 0, min(shape.max or _MOST, _MOST)
    if shape.pattern:
        found = st.from_regex(shape.pattern, fullmatch=True)
        return found.filter(lambda text: least <= len(text) <= (shape.max or 1000))
    return st.text(_TEXT, min_size=least, max_size=max(least, most))


@st.composite
def structure(draw: DrawFn, shape: Structure) -> Any:
    """An instance of the structure's class, optional members there or not."""
    members = {
        member.name: draw(value(member.shape))
        for member in shape.members
        if member.required or draw(st.booleans())
    }
    return shape.cls(**members)


def requests(operation: Operation[Any, Any]) -> SearchStrategy[Any]:
    """Requests of ``operation``."""
    return value(operation.request_shape)


def parameters(request: object, shape: Shape) -> Any:
    """The same in botocore's words: wire names, nested dictionaries, nothing that is absent."""
    match shape:
        case Structure():
            return {
                member.wire: parameters(inner, SHAPES[member.shape])
                for member in shape.members
                if (inner := getattr(request, member.name)) is not None
            }
        case ListOf():
            assert isinstance(request, list)
            return [parameters(item, SHAPES[shape.element]) for item in request]
        case _:
            return request


def plain(response: object, shape: Shape) -> Any:
    """A response in botocore's words without what is empty or absent: here, the two are one."""
    match shape:
        case Structure():
            found = {
                member.wire: plain(inner, SHAPES[member.shape])
                for member in shape.members
                if (inner := getattr(response, member.name)) is not None
            }
            return {name: inner for name, inner in found.items() if inner != []}
        case ListOf():
            assert isinstance(response, list)
            return [plain(item, SHAPES[shape.element]) for item in response]
        case _:
            return response


def without_empty_lists(parsed: Any) -> Any:
    """botocore's parse in the same form."""
    if isinstance(parsed, dict):
        found = {name: without_empty_lists(inner) for name, inner in parsed.items()}
        return {name: inner for name, inner in found.items() if inner != [] and name != "ResponseMetadata"}
    return [without_empty_lists(item) for item in parsed] if isinstance(parsed, list) else parsed


@functools.cache
def replies(name: str) -> SearchStrategy[Any]:
    """JSON that the service may answer for a shape: with unknown members, nulls, new enum values."""
    return _replies(name)


@st.composite
def _replies(draw: DrawFn, name: str) -> Any:
    shape = SHAPES[name]
    match shape:
        case Structure():
            found: dict[str, Any] = {}
            for member in shape.members:
                kind = draw(st.sampled_from(["there", "there", "there", "null", "absent"]))
                if kind == "there" or member.required:
                    found[member.wire] = draw(replies(member.shape))
                elif kind == "null":
                    found[member.wire] = None
            if draw(st.booleans()):
                found["aMemberOfTomorrow"] = draw(st.sampled_from([1, "x", None, {"a": [1]}, []]))
            return found
        case ListOf():
            return draw(st.lists(replies(shape.element), max_size=3))
        case Timestamp():
            seconds = draw(st.integers(0, 4_000_000_000_000))
            return seconds / 1000 if draw(st.booleans()) else seconds // 1000
        case String() if shape.enum is not None:
            return draw(st.sampled_from([*(str(member) for member in shape.enum), "VALUE_OF_TOMORROW"]))  # type: ignore[attr-defined]
        case String():
            return draw(st.text(_TEXT, max_size=_MOST))
        case _:
            return draw(value(name))


def members_of(request: object) -> dict[str, Any]:
    """The arguments of the method that would make ``request``."""
    return {
        field.name: getattr(request, field.name)
        for field in attrs.fields(cast("type[attrs.AttrsInstance]", type(request)))
    }
