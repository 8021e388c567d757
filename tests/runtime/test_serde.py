"""Messages of a made-up service with every kind of shape, both ways, and what cannot be one."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from aioecrpublic._runtime.body import SMALL
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic._runtime.serde import MissingMemberError, Serde, SerdeError
from aioecrpublic._runtime.shapes import (
    ListOf,
    MapOf,
    Member,
    Operation,
    Response,
    ResponseMetadata,
    String,
    Structure,
)
from tests.support.every_shape import FULL, MOMENT, SHAPES, Optional, full
from tests.support.made_up import service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.shapes import Shape


@attrs.define(kw_only=True, eq=False, repr=False)
class Answer(Response):
    texts: list[str] = attrs.Factory(list)
    others: list[Optional] = attrs.Factory(list)
    text: str | None = None


@attrs.define(kw_only=True)
class TextsOnly:
    short: Any = None
    just: Any = None
    long: Any = None
    longer: Any = None


@attrs.define(kw_only=True)
class Blobs:
    first: Any
    others: Any = attrs.Factory(dict)


class RefusedError(ServiceError):
    default_code = "Refused"
    members: ClassVar[tuple[str, ...]] = ("moment", "texts", "count")


MADE: Mapping[str, Shape] = {
    **SHAPES,
    "Answer": Structure(
        Answer,
        (
            Member("texts", "theTexts", "Texts"),
            Member("others", "theOthers", "Others"),
            Member("text", "theText", "Text"),
        ),
    ),
    "Others": ListOf("Optional"),
    "Short": String(max=100),
    "Just": String(max=SMALL),
    "Long": String(max=SMALL + 1),
    "TextsOnly": Structure(
        TextsOnly,
        (
            Member("short", "short", "Short"),
            Member("just", "just", "Just"),
            Member("long", "long", "Long"),
            Member("longer", "longer", "Text"),
        ),
    ),
    "DataByName": MapOf("Text", "DataList"),
    "DataList": ListOf("Data"),
    "Blobs": Structure(
        Blobs, (Member("first", "first", "Data", required=True), Member("others", "others", "DataByName"))
    ),
    "BlobsWithin": Structure(Blobs, (Member("others", "others", "DataByName"),)),
    "Refused": Structure(
        RefusedError,
        (
            Member("message", "message", "Text"),
            Member("moment", "theMoment", "Moment"),
            Member("texts", "theTexts", "Texts"),
            Member("count", "theCount", "Count"),
        ),
    ),
}
SERVICE = service(shapes=MADE, errors={"Refused": RefusedError})


def taking(shape: str) -> Operation[Any, Any]:
    """An operation whose request is of that shape."""
    return Operation(
        name="MakeUp",
        method="make_up",
        request=object,
        response=Answer,
        request_shape=shape,
        response_shape="Answer",
    )


def encoded(shape: str, request: object) -> Any:
    return json.loads(Serde(SERVICE).encode_request(taking(shape), request).read())


def test_a_request_has_its_members_by_their_names_on_the_wire() -> None:
    assert encoded("Required", full()) == FULL
    assert Serde(SERVICE).decode_request(taking("Required"), json.dumps(FULL).encode()) == full()


def test_what_is_absent_is_not_sent() -> None:
    assert encoded("Optional", Optional(inner=Optional())) == {"theInner": {}}


@pytest.mark.parametrize(
    ("shape", "request_", "wire"),
    [
        ("Optional", Optional(text="é😀", count=1), rb'{"theText":"\u00e9\ud83d\ude00","theCount":1}'),
        (
            "Blobs",
            Blobs(first=b"", others={"é": [b"a", b"b"]}),
            rb'{"first":"","others":{"\u00e9":["YQ==","Yg=="]}}',
        ),
    ],
)
def test_json_is_compact_and_ascii(shape: str, request_: object, wire: bytes) -> None:
    assert Serde(SERVICE).encode_request(taking(shape), request_).read() == wire


@pytest.mark.parametrize(
    ("micros", "seconds", "written"),
    [
        (0, b"1700000000", b"2023-11-14T22:13:20Z"),
        (500_000, b"1700000000.5", b"2023-11-14T22:13:20.500Z"),
        (123_457, b"1700000000.123457", b"2023-11-14T22:13:20.123Z"),
    ],
)
def test_moments_are_epoch_seconds_or_written(micros: int, seconds: bytes, written: bytes) -> None:
    request = full()
    request.moment = request.written = MOMENT.replace(microsecond=micros).astimezone(
        dt.timezone(dt.timedelta(hours=5))
    )
    body = Serde(SERVICE).encode_request(taking("Required"), request).read()
    assert b'"the-moment":' + seconds + b',"the-written":"' + written + b'",' in body


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 3 * SMALL])
def test_large_blobs_are_kept_apart(size: int) -> None:
    blobs = [bytes([number]) * size for number in range(4)]
    request = Blobs(first=blobs[0], others={"a": [blobs[1], b"small"], "b": [], "c": blobs[2:]})
    body = Serde(SERVICE).encode_request(taking("Blobs"), request)
    assert (body.content is None) == (size > SMALL)
    texts = [base64.b64encode(blob).decode() for blob in blobs]
    assert json.loads(body.read()) == {
        "first": texts[0],
        "others": {"a": [texts[1], "c21hbGw="], "b": [], "c": texts[2:]},
    }


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("size", [0, 1, SMALL, 3 * SMALL])
def test_large_blobs_come_back_as_they_went(size: int, kind: type[bytes | bytearray]) -> None:
    blobs = [bytes([number]) * size for number in range(4)]
    request = Blobs(first=blobs[0], others={"a": [blobs[1], b"small"], "b": [], "c": blobs[2:]})
    serde = Serde(SERVICE)
    body = kind(serde.encode_request(taking("Blobs"), request).read())
    assert serde.decode_request(taking("Blobs"), body) == request


@pytest.mark.parametrize("wrong", ["!", "\n", "\\n", "é", "A"])
def test_large_blobs_that_are_no_base64_are_refused(wrong: str) -> None:
    body = f'{{"first": "{"A" * 2 * SMALL}{wrong}"}}'.encode()
    with pytest.raises(SerdeError, match=r"^not a Blobs: "):
        Serde(SERVICE).decode_request(taking("Blobs"), body)


def test_blobs_are_found_however_deep() -> None:
    request = Blobs(first=None, others={"a": [b"a", b"x" * (SMALL + 1)]})
    assert [len(text) for text in encoded("BlobsWithin", request)["others"]["a"]] == [4, 87384]


class Odd:
    """Not a type of any shape."""


@pytest.mark.parametrize(
    ("shape", "request_", "complaint"),
    [
        ("Optional", Optional(text=Odd()), "Object of type Odd is not JSON serializable"),  # type: ignore[arg-type]
        ("Optional", Optional(count=math.nan), "Out of range float"),  # type: ignore[arg-type]
        ("Blobs", Blobs(first=b"", others={"a": 7}), "not iterable"),
        ("Blobs", Blobs(first=Odd()), "Odd"),
        ("Blobs", Optional(), "first"),
    ],
)
def test_what_cannot_be_serialised_is_told(shape: str, request_: object, complaint: str) -> None:
    with pytest.raises(SerdeError, match=f"^MakeUp cannot be serialised: .*{complaint}"):
        Serde(SERVICE).encode_request(taking(shape), request_)


def test_what_cannot_be_serialised_beside_a_blob_is_told() -> None:
    request = full()
    request.text = Odd()  # type: ignore[assignment]
    with pytest.raises(SerdeError, match="Odd is not a type of the service model"):
        Serde(SERVICE).encode_request(taking("Required"), request)
    request.text, request.count = "", math.inf  # type: ignore[assignment]
    with pytest.raises(SerdeError, match="Out of range float"):
        Serde(SERVICE).encode_request(taking("Required"), request)


@pytest.mark.parametrize(
    ("request_", "large"),
    [
        (TextsOnly(), False),
        (TextsOnly(longer="x" * SMALL), False),
        (TextsOnly(longer="x" * (SMALL + 1)), True),
        (TextsOnly(long="x" * (SMALL + 1)), True),
        # Longer than the model allows is not encoded at all, except without validation.
        (TextsOnly(short="x" * (SMALL + 1), just="x" * (SMALL + 1)), False),
        (TextsOnly(longer=[0] * (SMALL + 1)), False),
        (Odd(), False),
    ],
)
def test_long_strings_make_a_request_large(request_: object, large: bool) -> None:  # noqa: FBT001 - cases
    serde = Serde(SERVICE)
    assert [serde.is_large(request_), serde.is_large(request_)] == [large, large]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_may_come_in_any_encoding_and_with_space_around_it(encoding: str) -> None:
    for text in ('{"theText":"\u00e9"}', ' {"theText":"\u00e9"}', '{"theText":"\u00e9"}\n '):
        found = Serde(SERVICE).decode_response(taking("Optional"), text.encode(encoding))
        assert found == Answer(text="\u00e9")


def test_an_empty_body_is_an_empty_response() -> None:
    assert Serde(SERVICE).decode_response(taking("Optional"), b"") == Answer()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"[]", "not a Answer: a JSON list where an object belongs"),
        (b"7", "not a Answer: a JSON int where an object belongs"),
        (b"{", "not a Answer: Expecting property name"),
        (b"{} {}", "not a Answer: Extra data"),
        (b'{"theText": 7}', "not a Answer: a JSON int where a string belongs"),
    ],
)
def test_what_is_no_response_is_told(data: bytes, complaint: str) -> None:
    with pytest.raises(SerdeError, match=f"^{complaint}"):
        Serde(SERVICE).decode_response(taking("Optional"), data)


def test_a_strict_reader_wants_what_is_required() -> None:
    lenient, strict = Serde(SERVICE), Serde(SERVICE, strict=True)
    assert lenient.decode_request(taking("Blobs"), b"{}").first == b""
    with pytest.raises(MissingMemberError, match=r"^first is required$"):
        strict.decode_request(taking("Blobs"), b"{}")


def test_a_response_has_its_own_lists_even_when_they_are_empty() -> None:
    serde, operation = Serde(SERVICE), taking("Optional")
    assert json.loads(serde.encode_response(operation, Answer())) == {"theTexts": [], "theOthers": []}
    answer = Answer(texts=["a"], others=[Optional()], text="b", metadata=ResponseMetadata(status=200))
    assert json.loads(serde.encode_response(operation, answer)) == {
        "theTexts": ["a"],
        "theOthers": [{}],
        "theText": "b",
    }


def test_an_error_is_written_and_read_with_its_members() -> None:
    serde = Serde(SERVICE)
    error = RefusedError("no", moment=MOMENT, texts=["a"])
    body = json.loads(serde.encode_error(error))
    assert json.loads(serde.encode_error(RefusedError("no", count=7)))["theCount"] == 7
    assert body == {"__type": "Refused", "message": "no", "theMoment": 1700000000, "theTexts": ["a"]}
    assert serde.error_members("Refused", body) == {"moment": MOMENT, "texts": ["a"]}
    assert serde.error_members("Refused", {"theMoment": None, "theCount": 0}) == {"count": 0}


def test_an_error_that_is_not_modelled_has_no_members() -> None:
    serde = Serde(SERVICE)
    for code in ("OfTomorrow", "Text"):
        error = ServiceError("no", code=code)
        assert json.loads(serde.encode_error(error)) == {"__type": code, "message": "no"}
        assert serde.error_members(code, {"theCount": 7}) == {}


def test_an_errors_member_of_another_shape_is_told() -> None:
    with pytest.raises(SerdeError, match=r"^Refused: a JSON str where an integer belongs$"):
        Serde(SERVICE).error_members("Refused", {"theCount": "many"})


def test_only_structures_are_messages() -> None:
    with pytest.raises(SerdeError, match=r": Text is not a structure$"):
        Serde(SERVICE).encode_request(taking("Text"), "a")
