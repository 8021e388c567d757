"""Requests, replies and errors of every operation, beside what botocore makes of the same."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic import ServiceError
from aioecrpublic._generated.service import OPERATIONS, SERVICE, SHAPES
from aioecrpublic._runtime.reply import read_error
from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.shapes import Structure
from aioecrpublic._runtime.transport import Reply
from tests.support import oracle
from tests.support.recording import CREDENTIALS, recording_client
from tests.support.strategies import members_of, parameters, plain, replies, requests, without_empty_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic._runtime.shapes import Operation
    from tests.support.recording import Sent

ENDPOINT = "https://example.com"
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


@functools.cache
def theirs_client() -> Any:
    """A botocore client that sends nothing: it hands its prepared request over instead."""
    return oracle.session.Session().create_client(
        "ecr-public",
        region_name="us-east-1",
        endpoint_url=ENDPOINT,
        aws_access_key_id=CREDENTIALS.access_key_id,
        aws_secret_access_key=CREDENTIALS.secret_access_key,
        aws_session_token=CREDENTIALS.session_token,
    )


def prepared(operation: Operation[Any, Any], wanted: dict[str, Any], date: str) -> Any:
    """botocore's signed request for the same parameters at the same time."""
    stamp = mock.Mock(strftime=lambda _: date)
    with mock.patch("botocore.auth.get_current_datetime", return_value=stamp):
        return oracle.sent_request(theirs_client(), operation.method, **wanted)


class Ours:
    """One client of ours for many examples."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.client, self._transport = runner.run(recording_client(ENDPOINT))

    def send(self, operation: Operation[Any, Any], request: Any) -> Sent:
        self._transport.sent.clear()
        self._runner.run(getattr(self.client, operation.method)(**members_of(request)))
        (sent,) = self._transport.sent
        return sent


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    with asyncio.Runner() as runner:
        made = Ours(runner)
        yield made
        runner.run(made.client.close())


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@every_operation
@given(data=st.data())
def test_the_request_is_the_one_that_botocore_builds_and_signs(
    ours: Ours, operation: Operation[Any, Any], data: st.DataObject
) -> None:
    request = data.draw(requests(operation))
    sent = ours.send(operation, request)
    wanted = parameters(request, SHAPES[operation.request_shape])
    theirs = prepared(operation, wanted, sent.headers["X-Amz-Date"])

    assert sent.url == theirs.url
    assert sent.json == json.loads(theirs.body)
    for name in ("Content-Type", "X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token"):
        assert sent.headers[name] == text(theirs.headers[name]), name
    authorization = text(theirs.headers["Authorization"])
    assert signed_headers(sent.headers["Authorization"]) == signed_headers(authorization)
    assert theirs.headers["amz-sdk-invocation-id"]
    assert sent.headers["amz-sdk-invocation-id"]


@every_operation
@given(data=st.data())
def test_the_signature_is_botocores_over_the_same_bytes(
    ours: Ours, operation: Operation[Any, Any], data: st.DataObject
) -> None:
    sent = ours.send(operation, data.draw(requests(operation)))
    date = sent.headers["X-Amz-Date"]
    names = signed_headers(sent.headers["Authorization"]).split(";")
    request = oracle.awsrequest.AWSRequest(
        "POST", sent.url, {name: sent.headers[name] for name in names}, sent.body
    )
    request.context["timestamp"] = date
    signer = oracle.auth.SigV4Auth(
        oracle.credentials.Credentials(
            CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token
        ),
        "ecr-public",
        "us-east-1",
    )
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert sent.headers["Authorization"].endswith(f"Signature={signature}")


def signed_headers(authorization: str) -> str:
    return authorization.partition("SignedHeaders=")[2].partition(",")[0]


@every_operation
@given(data=st.data())
def test_the_reply_is_parsed_as_botocore_parses_it(
    operation: Operation[Any, Any], data: st.DataObject
) -> None:
    body = json.dumps(data.draw(replies(operation.response_shape))).encode()
    response = Serde(SERVICE).decode_response(operation, body)
    model = theirs_client().meta.service_model.operation_model(operation.name)
    theirs = oracle.parsers.create_parser("json").parse(
        {"body": body, "headers": {}, "status_code": 200}, model.output_shape
    )
    assert plain(response, SHAPES[operation.response_shape]) == without_empty_lists(theirs)


codes = st.sampled_from([*SERVICE.errors, "ThrottlingException", "NobodyKnowsThis"])
spellings = st.sampled_from(
    [
        "{}",
        "com.amazonaws.ecrpublic#{}",
        "com.amazonaws.ecrpublic#{}:http://internal.amazon.com/coral/com.amazon.coral.service/",
        "{}:http://internal.amazon.com/coral/com.amazon.coral.service/",
    ]
)


@every_operation
@given(data=st.data())
def test_an_error_is_parsed_as_botocore_parses_it(
    operation: Operation[Any, Any], data: st.DataObject
) -> None:
    code = data.draw(codes)
    body: dict[str, Any] = {}
    if code in SERVICE.errors:
        body |= data.draw(replies(code))
    body.pop("message", None)
    key = data.draw(st.sampled_from(["message", "Message", ""]))
    if key:
        body[key] = data.draw(st.text(max_size=20))
    body["__type"] = data.draw(spellings).format(code)
    raw = json.dumps(body).encode()
    status = data.draw(st.sampled_from([400, 403, 429, 500, 503]))

    error = read_error(SERVICE, Serde(SERVICE), operation, Reply(status, {"x-amzn-RequestId": "id"}, raw))
    model = theirs_client().meta.service_model.operation_model(operation.name)
    theirs = oracle.parsers.create_parser("json").parse(
        {"body": raw, "headers": {"x-amzn-requestid": "id"}, "status_code": status}, model.output_shape
    )
    assert error.code == theirs["Error"]["Code"] == code
    assert error.message == theirs["Error"]["Message"]
    assert error.request_id == theirs["ResponseMetadata"]["RequestId"]
    assert error.status == theirs["ResponseMetadata"]["HTTPStatusCode"]
    assert type(error) is SERVICE.errors.get(code, ServiceError)


@every_operation
@given(data=st.data())
def test_modelled_members_of_an_error_are_botocores(
    operation: Operation[Any, Any], data: st.DataObject
) -> None:
    modelled = [error.default_code for error in operation.errors]
    if not modelled:
        return
    code = data.draw(st.sampled_from(modelled))
    shape = SHAPES[code]
    assert isinstance(shape, Structure)
    body = data.draw(replies(code)) | {"__type": code}
    raw = json.dumps(body).encode()
    error = read_error(SERVICE, Serde(SERVICE), operation, Reply(400, {}, raw))
    model = theirs_client().meta.service_model
    theirs = oracle.parsers.create_parser("json").parse(
        {"body": raw, "headers": {}, "status_code": 400}, model.shape_for(code)
    )
    for member in shape.members:
        if member.name != "message":
            assert getattr(error, member.name) == theirs.get(member.wire)
