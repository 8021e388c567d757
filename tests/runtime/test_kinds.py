"""Kinds of shapes that ECR Public does not have, beside what botocore makes of the same."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic._runtime import decode
from aioecrpublic._runtime.serde import Serde, SerdeError
from aioecrpublic._runtime.shapes import (
    JSON,
    AbsentDict,
    AbsentList,
    Document,
    ListOf,
    MapOf,
    Member,
    Number,
    Operation,
    Response,
    String,
    Structure,
    Timestamp,
    is_absent,
)
from tests.support import oracle
from tests.support.made_up import service


@attrs.define(kw_only=True)
class Kinds(Response):
    epoch: dt.datetime | None = None
    written: dt.datetime | None = None
    dated: dt.datetime | None = None
    free: JSON = None
    share: float | None = None
    nested: list[Kinds] = attrs.field(factory=AbsentList)
    gaps: list[str | None] = attrs.field(factory=AbsentList)
    holes: dict[str, str | None] = attrs.field(factory=AbsentDict)


NAMES = {
    "epoch": "Epoch",
    "written": "Written",
    "dated": "Dated",
    "free": "Free",
    "share": "Share",
    "nested": "Nested",
    "gaps": "Gaps",
    "holes": "Holes",
}
OPERATION: Operation[Any, Kinds] = Operation(
    name="Do", method="do", request=Kinds, response=Kinds, request_shape="Kinds", response_shape="Kinds"
)
SERDE = Serde(
    service(
        shapes={
            "Kinds": Structure(Kinds, tuple(Member(name, name, shape) for name, shape in NAMES.items())),
            "Epoch": Timestamp(),
            "Written": Timestamp("iso8601"),
            "Free": Document(),
            "Share": Number(integer=False),
            "Dated": Timestamp("rfc822"),
            "Nested": ListOf("Kinds"),
            "Gaps": ListOf("Name", sparse=True),
            "Holes": MapOf("Name", "Name", sparse=True),
            "Name": String(),
        },
        operations={"Do": OPERATION},
    )
)
THEIRS = {
    "metadata": {"protocol": "json", "jsonVersion": "1.1", "targetPrefix": "T"},
    "operations": {
        "Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/"}, "input": {"shape": "Kinds"}}
    },
    "shapes": {
        "Kinds": {"type": "structure", "members": {name: {"shape": shape} for name, shape in NAMES.items()}},
        "Epoch": {"type": "timestamp"},
        "Written": {"type": "timestamp", "timestampFormat": "iso8601"},
        "Free": {"type": "structure", "members": {}, "document": True},
        "Share": {"type": "double"},
        "Dated": {"type": "timestamp", "timestampFormat": "rfc822"},
        "Nested": {"type": "list", "member": {"shape": "Kinds"}},
        "Gaps": {"type": "list", "member": {"shape": "Name"}},
        "Holes": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}},
        "Name": {"type": "string"},
    },
}

moments = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda moment: moment.replace(tzinfo=dt.UTC, microsecond=0)
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=5)
kinds = st.builds(
    Kinds,
    epoch=moments,
    written=moments,
    dated=moments,
    free=st.dictionaries(st.text(max_size=5), documents, max_size=3),
    share=st.floats(allow_nan=False),
    nested=st.lists(st.builds(Kinds, written=moments), max_size=3),
    gaps=st.lists(names | st.none(), max_size=3),
    holes=st.dictionaries(names, names | st.none(), max_size=3),
)


def parameters(value: Kinds) -> dict[str, Any]:
    found = {name: getattr(value, name) for name in NAMES if not is_absent(getattr(value, name))}
    if not is_absent(value.nested):
        found["nested"] = [parameters(inner) for inner in value.nested]
    return found


@given(value=kinds)
def test_every_kind_is_written_as_botocore_writes_it(value: Kinds) -> None:
    model = oracle.module("botocore.model").ServiceModel(THEIRS)
    # Without its validation, which does not know sparse lists.
    serializer = oracle.module("botocore.serialize").create_serializer("json", include_validation=False)
    theirs = serializer.serialize_to_request(parameters(value), model.operation_model("Do"))
    assert json.loads(SERDE.encode_request(OPERATION, value).read()) == json.loads(theirs["body"])


@given(value=kinds)
def test_every_kind_survives_the_wire(value: Kinds) -> None:
    assert SERDE.decode_response(OPERATION, SERDE.encode_request(OPERATION, value).read()) == value


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05Z"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=dt.UTC), "2026-01-02T03:04:05.678Z"),
        (dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=5))), "2026-01-01T22:00:00Z"),
    ],
)
def test_a_written_timestamp_is_in_utc(moment: dt.datetime, written: str) -> None:
    sent = json.loads(SERDE.encode_request(OPERATION, Kinds(written=moment)).read())
    assert sent == {"written": written}


@pytest.mark.parametrize(
    ("number", "written"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_numbers_that_json_has_no_literal_for_are_strings(number: float, written: str) -> None:
    body = SERDE.encode_request(OPERATION, Kinds(share=number)).read()
    assert json.loads(body) == {"share": written}
    assert repr(SERDE.decode_response(OPERATION, body).share) == repr(number)


def test_a_list_that_is_absent_is_not_sent_and_one_that_is_empty_is() -> None:
    absent = SERDE.decode_response(OPERATION, b"{}")
    assert (absent.nested, absent.gaps, absent.holes) == ([], [], {})
    assert SERDE.encode_request(OPERATION, absent).read() == b"{}"
    absent.gaps.append(None)
    assert SERDE.encode_request(OPERATION, absent).read() == b'{"gaps":[null]}'
    empty = SERDE.decode_response(OPERATION, b'{"nested": [], "gaps": [], "holes": {}}')
    assert SERDE.encode_request(OPERATION, empty).read() == b'{"nested":[],"gaps":[],"holes":{}}'
    assert absent != empty
    assert SERDE.decode_response(OPERATION, b"{}") == empty


def test_nulls_of_a_sparse_list_or_map_stay_and_of_another_are_left_out_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = b'{"gaps": ["a", null, "b"], "holes": {"a": null}, "nested": [null, {}, null]}'
    decode._warn_of_nulls.cache_clear()
    found = SERDE.decode_response(OPERATION, body)
    assert SERDE.decode_response(OPERATION, body) == found
    assert (found.gaps, found.holes, found.nested) == (["a", None, "b"], {"a": None}, [Kinds()])
    assert caplog.messages == ["the service sent nulls in Nested, which are left out; this is said once"]


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 02 Jan 2000 20:34:56 GMT",
        "Sun, 02 Jan 2000 20:34:56.456 GMT",
        "Sun, 02 Jan 2000 22:34:56 +0200",
        "2000-01-02T20:34:56Z",
        "2000-01-02T20:34:56.456Z",
        "2000-01-02T20:34:56.456789+00:00",
        "946845296",
        "946845296.456",
    ],
)
def test_written_dates_are_read_as_botocore_reads_them(text: str) -> None:
    theirs = oracle.utils.parse_timestamp(text)
    found = SERDE.decode_response(OPERATION, json.dumps({"dated": text, "epoch": text}).encode())
    assert found.dated == found.epoch == theirs


@pytest.mark.parametrize("text", ["", "yesterday", "Sun, 02 Jan", "1.2.3", "NaN", "Infinity", "2000-13-01"])
def test_what_is_no_date_is_told(text: str) -> None:
    with pytest.raises(SerdeError):
        SERDE.decode_response(OPERATION, json.dumps({"dated": text}).encode())
