"""A model with a shape of every kind, required and optional."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._runtime.shapes import (
    JSON,
    Blob,
    Boolean,
    Document,
    ListOf,
    MapOf,
    Member,
    Number,
    Response,
    String,
    Structure,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.shapes import Shape


class Colour(StrEnum):
    RED = "red"


@attrs.define(kw_only=True)
class Optional:
    text: str | None = None
    count: int | None = None
    colour: Colour | str | None = None
    moment: dt.datetime | None = None
    texts: list[str] = attrs.Factory(list)
    inner: Optional | None = None
    inners: list[Optional] = attrs.Factory(list)


@attrs.define(kw_only=True)
class Required:
    text: str
    colour: str
    count: int
    ratio: float
    flag: bool
    moment: dt.datetime
    written: dt.datetime
    data: bytes
    texts: list[str]
    counts: dict[str, int]
    optional: Optional


@attrs.define(kw_only=True)
class Either:
    text: str | None = None
    texts: list[str] | None = None
    inner: Either | None = None


@attrs.define(kw_only=True, eq=False, repr=False)
class Everything(Response):
    required: Required | None = None
    optional: Optional | None = None
    either: Either | None = None
    dated: dt.datetime | None = None
    free: JSON = None
    gaps: list[dict[str, int] | None] = attrs.Factory(list)
    holes: dict[str, Either | None] = attrs.Factory(dict)
    table: dict[str, Optional] = attrs.Factory(dict)
    ratios: list[float] = attrs.Factory(list)
    data: list[bytes] = attrs.Factory(list)


MEMBERS = {
    "text": "Text",
    "colour": "Colour",
    "count": "Count",
    "ratio": "Ratio",
    "flag": "Flag",
    "moment": "Moment",
    "written": "Written",
    "data": "Data",
    "texts": "Texts",
    "counts": "Counts",
    "optional": "Optional",
}
SHAPES: Mapping[str, Shape] = {
    "Text": String(),
    "Colour": String(enum=Colour),
    "Count": Number(),
    "Ratio": Number(integer=False),
    "Flag": Boolean(),
    "Moment": Timestamp(),
    "Written": Timestamp("iso8601"),
    "Data": Blob(),
    "Texts": ListOf("Text"),
    "Counts": MapOf("Text", "Count"),
    "Optionals": ListOf("Optional"),
    "Optional": Structure(
        Optional,
        (
            Member("text", "theText", "Text"),
            Member("count", "theCount", "Count"),
            Member("colour", "theColour", "Colour"),
            Member("moment", "theMoment", "Moment"),
            Member("texts", "theTexts", "Texts"),
            Member("inner", "theInner", "Optional"),
            Member("inners", "theInners", "Optionals"),
        ),
    ),
    "Required": Structure(
        Required, tuple(Member(name, f"the-{name}", shape, required=True) for name, shape in MEMBERS.items())
    ),
}
SHAPES = {
    **SHAPES,
    "Dated": Timestamp("rfc822"),
    "Free": Document(),
    "Gaps": ListOf("Counts", sparse=True),
    "Holes": MapOf("Text", "Either", sparse=True),
    "Table": MapOf("Text", "Optional"),
    "Ratios": ListOf("Ratio"),
    "DataList": ListOf("Data"),
    "Either": Structure(
        Either,
        (
            Member("text", "text", "Text"),
            Member("texts", "texts", "Texts"),
            Member("inner", "inner", "Either"),
        ),
        union=True,
    ),
    "Everything": Structure(
        Everything,
        (
            Member("required", "required", "Required"),
            Member("optional", "optional", "Optional"),
            Member("either", "either", "Either"),
            Member("dated", "dated", "Dated"),
            Member("free", "free", "Free"),
            Member("gaps", "gaps", "Gaps"),
            Member("holes", "holes", "Holes"),
            Member("table", "table", "Table"),
            Member("ratios", "ratios", "Ratios"),
            Member("data", "data", "DataList"),
        ),
    ),
}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MOMENT = dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)


def full() -> Required:
    """One with something in each member."""
    return Required(
        text="a",
        colour=Colour.RED,
        count=1,
        ratio=0.5,
        flag=True,
        moment=MOMENT,
        written=MOMENT,
        data=b"\x00\x01\xff",
        texts=["a", "b"],
        counts={"a": 1},
        optional=Optional(
            text="b",
            inner=Optional(count=2, texts=["c"], colour=Colour.RED),
            inners=[Optional(moment=MOMENT), Optional()],
        ),
    )


FULL = {
    "the-text": "a",
    "the-colour": "red",
    "the-count": 1,
    "the-ratio": 0.5,
    "the-flag": True,
    "the-moment": 1700000000,
    "the-written": "2023-11-14T22:13:20Z",
    "the-data": "AAH/",
    "the-texts": ["a", "b"],
    "the-counts": {"a": 1},
    "the-optional": {
        "theText": "b",
        "theInner": {"theCount": 2, "theTexts": ["c"], "theColour": "red"},
        "theInners": [{"theMoment": 1700000000}, {}],
    },
}
"""The same as JSON."""
