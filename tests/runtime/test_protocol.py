"""AWS JSON 1.1 as services and what stands before them speak it."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import uuid
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ServiceError
from aioecrpublic._generated.service import DESCRIBE_REPOSITORIES, SERVICE
from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.transport import MAX_REPLY
from aioecrpublic.errors import (
    BrokenReplyError,
    ConnectError,
    InvalidLayerPartException,
    RepositoryNotFoundException,
    TimeoutError,  # noqa: A004 - the package's own
    TransportError,
)
from aioecrpublic.types import ImageFailureCode, ImageIdentifier
from tests.support.wire import Raw, answer, error

if TYPE_CHECKING:
    from aioecrpublic import ECRPublicClient
    from tests.support.wire import Wire

UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"


async def test_unknown_members_and_nulls_are_nothing(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = answer(
        {
            "repositories": [{"repositoryName": "a", "createdAt": None, "ofTomorrow": {"x": 1}}, None],
            "nextToken": None,
            "alsoOfTomorrow": [1],
        }
    )
    response = await client.describe_repositories()
    (repository,) = response.repositories
    assert (repository.repository_name, repository.created_at) == ("a", None)
    assert response.next_token is None


@pytest.mark.parametrize("body", [{}, {"repositories": None}])
async def test_missing_lists_are_empty(client: ECRPublicClient, wire: Wire, body: object) -> None:
    wire.default = answer(body)
    assert (await client.describe_repositories()).repositories == []


async def test_a_required_list_that_is_missing_is_empty(client: ECRPublicClient) -> None:
    assert (await client.describe_registries()).registries == []


async def test_an_unknown_enum_value_stays_a_string(client: ECRPublicClient, wire: Wire) -> None:
    codes = ["ImageNotFound", "OfTomorrow"]
    wire.default = answer({"failures": [{"failureCode": code} for code in codes]})
    known, unknown = (
        await client.batch_delete_image(repository_name="ab", image_ids=[ImageIdentifier(image_tag="a")])
    ).failures
    assert known.failure_code is ImageFailureCode.IMAGE_NOT_FOUND
    assert type(unknown.failure_code) is str
    assert unknown.failure_code == "OfTomorrow"


@pytest.mark.parametrize("written", [1700000000.25, "1700000000.25", "2023-11-14T22:13:20.25Z"])
async def test_timestamps_are_aware(client: ECRPublicClient, wire: Wire, written: object) -> None:
    wire.default = answer({"repositories": [{"createdAt": written}]})
    (repository,) = (await client.describe_repositories()).repositories
    assert repository.created_at == dt.datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "kind",
    [
        "RepositoryNotFoundException",
        "com.amazonaws.ecrpublic#RepositoryNotFoundException",
        "RepositoryNotFoundException:http://internal.amazon.com/coral/com.amazon.coral.service/",
        "aws.protocoltests#RepositoryNotFoundException:http://internal.amazon.com/coral/",
    ],
)
@pytest.mark.parametrize("place", ["__type", "code", "header"])
async def test_the_errors_type_is_found_however_it_is_written(
    client: ECRPublicClient, wire: Wire, kind: str, place: str
) -> None:
    body = {"message": "not there"} | ({} if place == "header" else {place: kind})
    headers = {"x-amzn-errortype": kind} if place == "header" else {}
    wire.default = answer(body, status=400, headers=headers)
    with pytest.raises(RepositoryNotFoundException) as caught:
        await client.delete_repository(repository_name="ab")
    assert caught.value.message == "not there"
    assert caught.value.operation == "DeleteRepository"
    assert caught.value.request_id == "0123-4567"
    assert (caught.value.status, caught.value.attempts, caught.value.retryable) == (400, 1, False)
    assert "RepositoryNotFoundException (DeleteRepository): not there [status 400" in str(caught.value)


async def test_an_errors_members_are_typed(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = error("InvalidLayerPartException", lastValidByteReceived=41, uploadId="u", ofTomorrow=1)
    with pytest.raises(InvalidLayerPartException) as caught:
        await client.upload_layer_part(
            repository_name="ab", upload_id=UPLOAD, part_first_byte=0, part_last_byte=1, layer_part_blob=b"ab"
        )
    assert caught.value.last_valid_byte_received == 41
    assert (caught.value.upload_id, caught.value.registry_id) == ("u", None)


async def test_an_errors_member_of_the_wrong_type_does_not_hide_the_error(
    client: ECRPublicClient, wire: Wire
) -> None:
    wire.default = error("InvalidLayerPartException", lastValidByteReceived="many")
    with pytest.raises(InvalidLayerPartException) as caught:
        await client.complete_layer_upload(repository_name="ab", upload_id=UPLOAD, layer_digests=["sha256:a"])
    assert caught.value.last_valid_byte_received is None


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", "403", ""),
        (
            b"<html><body>  Denied\n by proxy </body></html>",
            "403",
            "<html><body> Denied by proxy </body></html>",
        ),
        (b"[1]", "403", "[1]"),
        (b'{"message": 7}', "403", "7"),
        (b"\xff\xfe", "403", "��"),
        (b"x" * 5000, "403", "x" * 200 + "…"),
        (b'{"__type": 5}', "403", '{"__type": 5}'),
        (b"[" * 100_000, "403", "[" * 200 + "…"),
    ],
)
async def test_what_is_no_error_of_the_service_is_named_after_its_status(
    client: ECRPublicClient, wire: Wire, data: bytes, code: str, message: str
) -> None:
    wire.default = answer(data=data, status=403)
    with pytest.raises(ServiceError) as caught:
        await client.describe_registries()
    assert (caught.value.code, caught.value.message, caught.value.status) == (code, message, 403)


async def test_a_redirect_is_not_followed(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = answer(status=302, headers={"Location": f"{wire.url}/elsewhere"})
    with pytest.raises(ServiceError, match="302"):
        await client.describe_registries()
    assert len(wire.requests) == 1


async def test_no_body_is_an_empty_response(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = answer(data=b"")
    response = await client.describe_repositories()
    assert response.repositories == []
    assert response.metadata.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"<html>welcome to the hotel</html>",
        b"[]",
        b'"x"',
        b'{"repositories": {}}',
        b'{"repositories": [7]}',
        b'{"repositories": [{"repositoryName": 7}]}',
        b'{"repositories": [{"createdAt": "soon"}]}',
        b'{"repositories": [{"createdAt": 1e300}]}',
        b'{"repositories": [',
        b"\xff",
        b'{"a": ' + b"[" * 100_000,
    ],
)
async def test_a_success_that_cannot_be_read_is_not_asked_for_again(
    client: ECRPublicClient, wire: Wire, data: bytes
) -> None:
    wire.default = answer(data=data)
    with pytest.raises(BrokenReplyError, match="describe_repositories: the reply cannot be read") as caught:
        await client.describe_repositories()
    assert caught.value.__cause__ is not None
    assert (caught.value.status, caught.value.request_id, caught.value.attempts) == (200, "0123-4567", 1)
    assert len(wire.requests) == 1


@pytest.mark.usefixtures("delays")
async def test_a_reply_cut_short_is_asked_for_again(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [Raw(answer({"repositories": [{"repositoryName": "abc"}]})[:-9])]
    response = await client.describe_repositories()
    assert response.repositories == []
    assert response.metadata.attempts == 2


@pytest.mark.usefixtures("delays")
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ConnectError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", TransportError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", BrokenReplyError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", BrokenReplyError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", TransportError),
    ],
)
async def test_a_connection_that_breaks_is_a_transport_error(
    client: ECRPublicClient, wire: Wire, data: bytes, kind: type[TransportError]
) -> None:
    wire.answers = [Raw(data)] * 3
    with pytest.raises(kind) as caught:
        await client.describe_registries()
    assert caught.value.__cause__ is not None
    assert (caught.value.operation, caught.value.attempts) == ("DescribeRegistries", 3)


async def test_nobody_there_is_a_connect_error(client: ECRPublicClient, wire: Wire) -> None:
    await wire.__aexit__()
    with pytest.raises(ConnectError) as caught:
        await client.with_options(max_attempts=1).describe_registries()
    assert isinstance(caught.value.__cause__, OSError)


async def test_silence_is_a_timeout(client: ECRPublicClient, wire: Wire) -> None:
    async def never(_: object) -> bytes:
        await asyncio.sleep(30)
        raise AssertionError

    wire.answers = [never]
    with pytest.raises(TimeoutError, match=r"no data within 0\.05 s") as caught:
        await client.with_options(read_timeout=0.05, max_attempts=1).describe_registries()
    assert isinstance(caught.value, asyncio.TimeoutError)


async def test_a_compressed_reply_is_read(client: ECRPublicClient, wire: Wire) -> None:
    data = gzip.compress(json.dumps({"repositories": [{"repositoryName": "abc"}]}).encode())
    wire.default = answer(data=data, headers={"Content-Encoding": "gzip"})
    (repository,) = (await client.describe_repositories()).repositories
    assert repository.repository_name == "abc"


async def test_a_bomb_is_not_unpacked(client: ECRPublicClient, wire: Wire) -> None:
    data = gzip.compress(b" " * (MAX_REPLY + 1), 9)
    wire.default = answer(data=data, headers={"Content-Encoding": "gzip"})
    with pytest.raises(BrokenReplyError, match="more than"):
        await client.describe_repositories()
    assert len(wire.requests) == 1


async def test_a_huge_reply_is_read(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = answer({"repositories": [{"repositoryName": "r" * 200} for _ in range(20_000)]})
    assert len((await client.describe_repositories()).repositories) == 20_000


async def test_a_reply_in_chunks_is_read(client: ECRPublicClient, wire: Wire) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.answers = [Raw(head + b'2\r\n{"\r\n11\r\nnextToken":"abc"}\r\n0\r\n\r\n')]
    assert (await client.describe_repositories()).next_token == "abc"


async def test_the_request_is_what_the_protocol_says(client: ECRPublicClient, wire: Wire) -> None:
    await client.describe_repositories(max_results=5)
    (request,) = wire.requests
    assert (request.method, request.path, request.json) == ("POST", "/", {"maxResults": 5})
    assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert request.headers["X-Amz-Target"] == "SpencerFrontendService.DescribeRepositories"
    assert request.headers["amz-sdk-request"] == "attempt=1; max=3"
    assert request.headers["User-Agent"].startswith("aioecrpublic/")
    assert "Accept-Encoding" not in request.headers


def test_strings_of_any_kind_survive_the_wire() -> None:
    serde = Serde(SERVICE)
    for text in ("\ud800", "\u2028", '"\\', "\x00", "😀", "é"):
        body = json.dumps({"nextToken": text}).encode("utf-8", "surrogatepass")
        assert serde.decode_response(DESCRIBE_REPOSITORIES, body).next_token == text
        request = serde.decode_request(DESCRIBE_REPOSITORIES, body)
        assert serde.encode_request(DESCRIBE_REPOSITORIES, request).read() == body.replace(b": ", b":")


async def test_invocations_are_told_apart_by_uuids(client: ECRPublicClient, wire: Wire) -> None:
    for _ in range(20):
        await client.describe_registries()
    found = {uuid.UUID(request.headers["amz-sdk-invocation-id"]) for request in wire.requests}
    assert len(found) == 20
    assert {(made.version, made.variant) for made in found} == {(4, uuid.RFC_4122)}
