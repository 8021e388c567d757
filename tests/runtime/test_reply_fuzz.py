"""Whatever JSON is answered: a value of the model, the one that botocore reads there, or a broken reply."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aioecrpublic._runtime.errors import BrokenReplyError, ServiceError
from aioecrpublic._runtime.reply import read_error, read_response
from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.shapes import (
    Blob,
    Boolean,
    Document,
    ListOf,
    MapOf,
    Member,
    Number,
    Operation,
    String,
    Structure,
    Timestamp,
)
from aioecrpublic._runtime.transport import Reply
from tests.support import oracle
from tests.support.every_shape import SHAPES, Everything
from tests.support.made_up import service
from tests.support.soak import FUZZ

if TYPE_CHECKING:
    from aioecrpublic._runtime.shapes import Shape


class RefusedError(ServiceError):
    default_code = "Refused"
    members = ("everything", "count", "moment")
    everything: Everything | None = None
    count: int | None = None
    moment: dt.datetime | None = None


REFUSED = Structure(
    RefusedError,
    (
        Member("message", "message", "Text"),
        Member("everything", "everything", "Everything"),
        Member("count", "count", "Count"),
        Member("moment", "moment", "Moment"),
    ),
)
OPERATION: Operation[Any, Everything] = Operation(
    name="Do",
    method="do",
    request=Everything,
    response=Everything,
    request_shape="Everything",
    response_shape="Everything",
    errors=(RefusedError,),
)
SERVICE = service(
    shapes={**SHAPES, "Refused": REFUSED}, operations={"Do": OPERATION}, errors={"Refused": RefusedError}
)
SERDE = Serde(SERVICE)


def model_of(shape: Shape) -> dict[str, Any]:
    """The shape in botocore's words."""
    match shape:
        case Structure():
            members = {member.wire: {"shape": member.shape} for member in shape.members}
            required = [member.wire for member in shape.members if member.required]
            traits = {"members": members, "required": required, "union": shape.union}
        case ListOf():
            traits = {"member": {"shape": shape.element}}
        case MapOf():
            traits = {"key": {"shape": shape.key}, "value": {"shape": shape.value}}
        case Document():
            traits = {"members": {}, "document": True}
        case Timestamp():
            traits = {"timestampFormat": shape.format}
        case _:
            traits = {}
    return {"type": type_of(shape), **traits}


def type_of(shape: Shape) -> str:
    kinds = {ListOf: "list", MapOf: "map", Document: "structure"}
    if isinstance(shape, Number):
        return "integer" if shape.integer else "double"
    return kinds.get(type(shape), type(shape).__name__.lower())


THEIRS = oracle.module("botocore.model").ServiceModel(
    {"metadata": {}, "operations": {}, "shapes": {name: model_of(shape) for name, shape in SHAPES.items()}}
)
PARSER = oracle.parsers.create_parser("json")


# Documents: what the model says, with anything else here and there


WORDS = (
    "", "a", "red", "AAH/", "NaN", "-Infinity", "1e999", "9" * 30, "2000-01-02T03:04:05Z", "1700000000.5",
    "Sun, 02 Jan 2000 20:34:56.456 GMT", "2000-01-02", "\ud800", "0001-01-01T00:00:00+14:00",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2**63, -(2**70), 10**400, 1.5, 7.0, -0.0, 1e300, 1e-300, math.nan, math.inf)
MOMENTS = (0, -1, 1700000000, 1700000000.123, "1700000000.5", "2000-01-02T03:04:05.678+01:00", WORDS[10])
NAMES = sorted(
    {member.wire for shape in SHAPES.values() if isinstance(shape, Structure) for member in shape.members}
)


class Documents:
    """Random documents; Hypothesis would need ten times as long to draw them piece by piece.

    Args:
        seed: What they depend on.
        damage: How much of them is not as the model has it.
    """

    def __init__(self, seed: int, damage: float) -> None:
        self._random = random.Random(seed)
        self._damage = damage

    def anything(self, depth: int = 0) -> Any:
        choose = self._random.choice
        some = range(self._random.randrange(4) if depth < 3 else 0)
        kinds: tuple[Any, ...] = (
            None,
            choose((True, False)),
            choose(NUMBERS),
            choose(WORDS),
            self._random.random() * 10 ** self._random.randrange(-5, 15),
            [self.anything(depth + 1) for _ in some],
            {choose([*NAMES, "__type", "ofTomorrow", ""]): self.anything(depth + 1) for _ in some},
        )
        return choose(kinds)

    def of(self, name: str, depth: int = 0) -> Any:
        """A document for a shape."""
        if self._random.random() < self._damage:
            return self.anything()
        shape = SHAPES[name]
        some = range(self._random.randrange(3))
        match shape:
            case Structure():
                return self._object(shape, depth)
            case ListOf():
                return [self.of(shape.element, depth + 1) for _ in some]
            case MapOf():
                return {self._random.choice(WORDS): self.of(shape.value, depth + 1) for _ in some}
            case _:
                return self._scalar(shape)

    def _object(self, shape: Structure, depth: int) -> dict[str, Any]:
        share = 1 / (depth + 1.5)
        members = [member for member in shape.members if self._random.random() < share]
        if shape.union:
            members = [self._random.choice(shape.members[: 3 if depth < 6 else 1])]
        found = {member.wire: self.of(member.shape, depth + 1) for member in members}
        if self._random.random() < self._damage:
            found["ofTomorrow"] = self.anything()
        return found

    def _scalar(self, shape: Shape) -> Any:
        choose = self._random.choice
        match shape:
            case String():
                return choose(WORDS)
            case Number():
                return choose(
                    (0, 1, -7, 2**53, 7.0) if shape.integer else (0, 1.5, "NaN", "-Infinity", 1e300)
                )
            case Boolean():
                return choose((True, False))
            case Timestamp():
                return choose(MOMENTS)
            case Blob():
                return base64.b64encode(self._random.randbytes(self._random.randrange(6))).decode()
            case _:
                return self.anything()


seeds = st.integers(0, 2**64)
damages = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3])


# Two readings of it


@pytest.mark.slow
@FUZZ
@given(seed=seeds, damage=damages)
def test_any_document_is_a_value_or_a_broken_reply(seed: int, damage: float) -> None:
    read_twice(Documents(seed, damage).of("Everything"))


@pytest.mark.parametrize("document", [[], {"free": [[[]]]}, {"required": {"the-moment": math.nan}}])
def test_odd_documents_are_values_or_broken_replies(document: Any) -> None:
    read_twice(document)


def read_twice(document: Any) -> None:
    """Read a document as a reply; where that can be, and botocore can read it too, it is the same."""
    data = json.dumps(document).encode()
    try:
        found = read_response(SERDE, OPERATION, Reply(200, {}, data))
    except BrokenReplyError as error:
        assert str(error).startswith("do: the reply cannot be read: not a Everything: ")  # noqa: PT017 - both are right
        return
    try:
        theirs = PARSER.parse(
            {"body": data, "headers": {}, "status_code": 200}, THEIRS.shape_for("Everything")
        )
    except Exception:  # noqa: BLE001 - whatever it is, botocore cannot read this
        return
    theirs.pop("ResponseMetadata")
    compare("Everything", found, theirs)


def compare(name: str, ours: Any, theirs: Any) -> None:
    """Hold a value beside botocore's; it leaves out what is absent, and nulls are elements to it."""
    shape = SHAPES[name]
    match shape:
        case Structure():
            compare_members(shape, ours, theirs)
        case ListOf():
            wanted = [inner for inner in theirs if shape.sparse or inner is not None]
            for mine, inner in zip(ours, wanted, strict=True):
                compare_element(shape.element, mine, inner)
        case MapOf():
            kept = {key: inner for key, inner in theirs.items() if shape.sparse or inner is not None}
            assert list(ours) == list(kept)
            for key, inner in kept.items():
                compare_element(shape.value, ours[key], inner)
        case Timestamp():
            aware = theirs if theirs.tzinfo else theirs.replace(tzinfo=dt.UTC)
            assert abs(ours - aware) < dt.timedelta(microseconds=2)
        case Number() if not shape.integer:
            assert repr(float(theirs)) == repr(ours)
        case _:
            assert repr(ours) == repr(theirs) or ours == theirs


def compare_members(shape: Structure, ours: Any, theirs: Any) -> None:
    assert type(ours) is shape.cls
    for member in shape.members:
        mine, inner = getattr(ours, member.name), theirs.get(member.wire)
        if inner is not None:
            compare(member.shape, mine, inner)
        elif not member.required:
            assert mine is None or mine in ([], {})


def compare_element(name: str, ours: Any, theirs: Any) -> None:
    if theirs is None:
        assert ours is None
    else:
        compare(name, ours, theirs)


@pytest.mark.slow
@FUZZ
@given(
    seed=seeds,
    code=st.sampled_from(["Refused", "a.b#Refused:http://c", "Unknown", "", None, 7, ["Refused"]]),
    status=st.integers(300, 599),
)
def test_any_document_is_an_error(seed: int, code: Any, status: int) -> None:
    documents = Documents(seed, 0.1)
    body = documents.anything()
    if isinstance(body, dict):
        body |= {"__type": code, "everything": documents.of("Everything"), "count": documents.of("Count")}
    error = read_error(SERVICE, SERDE, OPERATION, Reply(status, {}, json.dumps(body).encode()))
    assert error.status == status
    assert error.code
    assert isinstance(error.message, str)
    assert str(error)


@pytest.mark.slow
@FUZZ
@given(data=st.binary(max_size=40))
@example(data=b"[" * 100_000)
@example(data=b'{"free":' + b"[" * 100_000)
@example(data=b'{"required":{"the-count":' + b"9" * 10_000 + b"}}")
@example(data=b'{"optional": {"theMoment": 1e999}}')
@example(data=b'{"ratios": [NaN, -Infinity]}')
def test_any_bytes_are_a_value_or_a_broken_reply(data: bytes) -> None:
    try:
        assert isinstance(read_response(SERDE, OPERATION, Reply(200, {}, data)), Everything)
    except BrokenReplyError as error:
        assert not error.transient  # noqa: PT017 - both are right
    assert read_error(SERVICE, SERDE, OPERATION, Reply(500, {}, data)).status == 500


@pytest.mark.parametrize("depth", [100, 900, 5_000])
def test_what_nests_deeply_ends_in_a_broken_reply_at_the_worst(depth: int) -> None:
    for opening, closing in (('{"inner":', "}"), ('{"inner":{"inner":', "}}")):
        data = '{"either":' + opening * depth + "{}" + closing * depth + "}"
        try:
            read_response(SERDE, OPERATION, Reply(200, {}, data.encode()))
        except BrokenReplyError as error:
            assert "recursion" in str(error)  # noqa: PT017 - both are right
