"""Kinds of shapes that ECR Public does not have, beside what botocore makes of the same."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.shapes import (
    JSON,
    Document,
    ListOf,
    Member,
    Number,
    Operation,
    Response,
    Service,
    String,
    Structure,
    Timestamp,
)
from tests.support import oracle


@attrs.define(kw_only=True)
class Kinds(Response):
    epoch: dt.datetime | None = None
    written: dt.datetime | None = None
    free: JSON = None
    share: float | None = None
    nested: list[Kinds] = attrs.field(factory=list)


NAMES = {"epoch": "Epoch", "written": "Written", "free": "Free", "share": "Share", "nested": "Nested"}
OPERATION: Operation[Any, Kinds] = Operation(
    name="Do", method="do", request=Kinds, response=Kinds, request_shape="Kinds", response_shape="Kinds"
)
SERDE = Serde(
    Service(
        name="x",
        service_id="X",
        api_version="1",
        content_type="application/x-amz-json-1.1",
        target_prefix="T",
        signing_name="x",
        regions=(),
        endpoints={},
        shapes={
            "Kinds": Structure(Kinds, tuple(Member(name, name, shape) for name, shape in NAMES.items())),
            "Epoch": Timestamp(),
            "Written": Timestamp(iso=True),
            "Free": Document(),
            "Share": Number(integer=False),
            "Nested": ListOf("Kinds"),
            "Name": String(),
        },
        operations={"Do": OPERATION},
        errors={},
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
        "Nested": {"type": "list", "member": {"shape": "Kinds"}},
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
kinds = st.builds(
    Kinds,
    epoch=moments,
    written=moments,
    free=st.dictionaries(st.text(max_size=5), documents, max_size=3),
    share=st.floats(allow_nan=False, allow_infinity=False),
    nested=st.lists(st.builds(Kinds, written=moments), max_size=3),
)


def parameters(value: Kinds) -> dict[str, Any]:
    found = {name: getattr(value, name) for name in NAMES if getattr(value, name) is not None}
    found["nested"] = [parameters(inner) for inner in value.nested]
    return {name: item for name, item in found.items() if item != []}


@given(value=kinds)
def test_every_kind_is_written_as_botocore_writes_it(value: Kinds) -> None:
    model = oracle.module("botocore.model").ServiceModel(THEIRS)
    serializer = oracle.module("botocore.serialize").create_serializer("json")
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
