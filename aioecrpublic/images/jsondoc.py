"""Reading JSON nobody vouches for: every surprise is an `ImageError` naming the document and the field."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
JSONObject: TypeAlias = dict[str, JSON]

MAX_VALUES = 300_000
"""Upper bound of the values in one document.

4 MiB of empty lists would take a hundred times that as Python objects; four mebibytes of real descriptors
hold a third of this number.
"""


MAX_NESTING = 100
"""Levels; what is parsed can then be walked and written again wherever the stack stands."""


def parse(raw: bytes, where: str) -> JSON:
    """Parse a JSON document.

    Duplicate member names are refused: which of the two counts depends on the reader, so a manifest with
    them may mean one thing here and another in the client that pulls it.

    Args:
        raw: UTF-8 text.
        where: what the document is, for messages.

    Raises:
        ImageError: it is not UTF-8, not JSON, nested too deeply or far too long.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise ImageError(f"{where}: more than {MAX_VALUES} values in one JSON document")
    try:
        value: JSON = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise ImageError(f"{where}: JSON nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ImageError(f"{where}: not UTF-8 text (byte {error.start})") from error
    except ValueError as error:
        raise ImageError(f"{where}: not valid JSON: {error}") from error
    if not _is_shallow(value):
        raise ImageError(f"{where}: JSON nested too deeply")
    return value


def parse_object(raw: bytes, where: str) -> JSONObject:
    """Parse a JSON object, as `parse` does.

    Raises:
        ImageError: it is no JSON object.
    """
    return as_object(parse(raw, where), f"{where}: the document")


def text(document: JSONObject, key: str, where: str) -> str | None:
    """Return a text member, or None if it is absent or null."""
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ImageError(f"{where}: {key} is {_kind(value)}, not text")


def integer(document: JSONObject, key: str, where: str) -> int:
    """Return a required whole number."""
    value = document.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ImageError(f"{where}: {key} is {_kind(value)}, not a whole number")


def items(document: JSONObject, key: str, where: str) -> list[JSON]:
    """Return a list member; absent and null (as Go writes an empty list) give an empty one."""
    value = document.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise ImageError(f"{where}: {key} is {_kind(value)}, not a list")


def texts(document: JSONObject, key: str, where: str) -> tuple[str, ...]:
    """Return a list of texts."""
    values = items(document, key, where)
    found = tuple(value for value in values if isinstance(value, str))
    if len(found) != len(values):
        raise ImageError(f"{where}: {key} holds something that is not text")
    return found


def text_map(document: JSONObject, key: str, where: str) -> dict[str, str]:
    """Return a map of text to text; absent and null give an empty one."""
    members = sub_object(document, key, where) or {}
    found = {name: value for name, value in members.items() if isinstance(value, str)}
    if len(found) != len(members):
        raise ImageError(f"{where}: {key} holds a value that is not text")
    return found


def sub_object(document: JSONObject, key: str, where: str) -> JSONObject | None:
    """Return an object member, or None if it is absent or null."""
    value = document.get(key)
    if value is None:
        return None
    return as_object(value, f"{where}: {key}")


def as_object(value: JSON, where: str) -> JSONObject:
    """Return `value` if it is an object."""
    if isinstance(value, dict):
        return value
    raise ImageError(f"{where} is {_kind(value)}, not an object")


def _object_without_duplicates(pairs: list[tuple[str, JSON]]) -> JSONObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the member {shown(name)} is there twice")
            seen.add(name)
    return members


def _is_shallow(value: JSON) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return True
    return False


def _children(value: JSON) -> Iterable[JSON]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    # Written again, it would be no JSON.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {shown(text)} is too large")
    return value


def _kind(value: JSON) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return "a truth value"
        case str():
            return f"the text {shown(value)}"
        case int() | float():
            return f"the number {shown(value)}" if isinstance(value, float) else "a number"
        case list():
            return "a list"
        case dict():
            return "an object"
