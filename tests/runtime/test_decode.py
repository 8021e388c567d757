"""JSON of every kind of shape, and what is not of its shape."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from aioecrpublic._runtime.decode import Decoder, MissingMemberError
from tests.support.every_shape import EPOCH, FULL, MEMBERS, MOMENT, SHAPES, Colour, Optional, Required, full


def decoded(shape: str, value: object) -> Any:
    return Decoder(SHAPES, strict=False).value(shape)(value)


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ("Text", "x", "x"),
        ("Text", "", ""),
        ("Colour", "red", Colour.RED),
        ("Colour", "blue", "blue"),
        ("Count", 7, 7),
        ("Count", 7.0, 7),
        ("Ratio", 0.5, 0.5),
        ("Ratio", 2, 2.0),
        ("Flag", True, True),
        ("Flag", False, False),
        ("Moment", 1700000000, MOMENT),
        ("Moment", 1700000000.0, MOMENT),
        ("Moment", "1700000000", MOMENT),
        ("Moment", "2023-11-14T22:13:20", MOMENT),
        ("Moment", "2023-11-14T22:13:20Z", MOMENT),
        ("Moment", "2023-11-14T23:13:20+01:00", MOMENT),
        ("Data", "AAH/", b"\x00\x01\xff"),
        ("Data", "", b""),
        ("Texts", ["a", None, "b"], ["a", "b"]),
        ("Counts", {"a": 1, "b": None}, {"a": 1}),
        ("Optional", {}, Optional()),
        ("Optional", {"theText": None, "theTexts": None, "theInner": None}, Optional()),
        ("Optional", {"theInner": {"theText": "a"}}, Optional(inner=Optional(text="a"))),
        ("Optional", {"theCount": 1, "theTexts": ["a"], "text": "x"}, Optional(count=1, texts=["a"])),
        ("Optional", {"theMoment": 1700000000.0}, Optional(moment=MOMENT)),
        ("Optional", {"theMoment": "1700000000"}, Optional(moment=MOMENT)),
        ("Optionals", [{}, None, {"theText": "a"}], [Optional(), Optional(text="a")]),
    ],
)
def test_values_are_of_their_shape(shape: str, value: object, expected: object) -> None:
    found = decoded(shape, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20", "2023-11-14T22:13:20Z", "1700000000"])
def test_every_moment_is_in_a_time_zone(text: str) -> None:
    assert decoded("Moment", text).utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(("given", "kind"), [("red", Colour), ("blue", str)])
def test_what_is_known_of_an_enumeration_is_its_member(given: str, kind: type) -> None:
    found = decoded("Optional", {"theColour": given}).colour
    assert found == given
    assert type(found) is kind


@pytest.mark.parametrize(
    ("shape", "value", "complaint"),
    [
        ("Text", 7, "a JSON int where a string belongs"),
        ("Colour", [], "a JSON list where a string belongs"),
        ("Count", "7", "a JSON str where an integer belongs"),
        ("Count", 7.5, "a JSON float where an integer belongs"),
        ("Count", True, "a JSON bool where an integer belongs"),
        ("Ratio", "0.5", "a JSON str where a number belongs"),
        ("Ratio", True, "a JSON bool where a number belongs"),
        ("Flag", 1, "a JSON int where a boolean belongs"),
        ("Moment", [], "a JSON list where a string belongs"),
        ("Data", 7, "a JSON int where a string belongs"),
        ("Texts", {}, "a JSON dict where a list belongs"),
        ("Texts", [7], "a JSON int where a string belongs"),
        ("Counts", [], "a JSON list where an object belongs"),
        ("Counts", {"a": "b"}, "a JSON str where an integer belongs"),
        ("Optional", [], "a JSON list where a Optional belongs"),
        ("Optionals", {}, "a JSON dict where a list belongs"),
        ("Optionals", ["a"], "a JSON str where a Optional belongs"),
        ("Optional", {"theMoment": []}, "a JSON list where a string belongs"),
        ("Optional", {"theText": 7}, "a JSON int where a string belongs"),
        ("Optional", {"theInner": {"theCount": "x"}}, "a JSON str where an integer belongs"),
    ],
)
def test_what_is_not_of_its_shape_is_told(shape: str, value: object, complaint: str) -> None:
    with pytest.raises(TypeError) as caught:
        decoded(shape, value)
    assert str(caught.value) == complaint


@pytest.mark.parametrize("text", ["AAH/!", "A", "AA H/", "é"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|ASCII|ascii|padding|characters|Incorrect"):
        decoded("Data", text)


@pytest.mark.parametrize("message", [{}, {f"the-{name}": None for name in MEMBERS}], ids=["absent", "null"])
def test_what_is_missing_though_required_is_its_zero(message: dict[str, None]) -> None:
    assert decoded("Required", message) == Required(
        text="",
        colour="",
        count=0,
        ratio=0.0,
        flag=False,
        moment=EPOCH,
        written=EPOCH,
        data=b"",
        texts=[],
        counts={},
        optional=Optional(),
    )


def test_what_is_missing_is_an_error_if_we_are_strict() -> None:
    read = Decoder(SHAPES, strict=True).function("Required")
    assert read(FULL) == full()
    for name in FULL:
        with pytest.raises(MissingMemberError, match=f"^{name} is required$") as caught:
            read({**FULL, name: None})
        assert caught.value.member == name


def test_absent_lists_are_not_one_list() -> None:
    read = Decoder(SHAPES, strict=False).function("Optional")
    first, second = read({}), read({})
    first.texts.append("a")
    assert second.texts == []


def test_only_structures_have_functions_and_one_each() -> None:
    decoder = Decoder(SHAPES, strict=False)
    assert decoder.function("Optional") is decoder.function("Optional")
    with pytest.raises(TypeError, match=r"^Text is not a structure$"):
        decoder.function("Text")
