"""Uploads of layers, by boto3."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aioecrpublic.local import Settings
from tests.local.rules.helpers import MIB, Boto, boto, digest_of, push_layer, refused, running
from tests.support.oci import random_bytes

if TYPE_CHECKING:
    from aioecrpublic.local import LocalECRPublic


def send(client: Boto, repository: str, upload: str, first: int, data: bytes, last: int | None = None) -> Any:
    return client.upload_layer_part(
        repositoryName=repository,
        uploadId=upload,
        partFirstByte=first,
        partLastByte=first + len(data) - 1 if last is None else last,
        layerPartBlob=data,
    )


def begin(client: Boto, repository: str) -> str:
    upload: str = client.initiate_layer_upload(repositoryName=repository)["uploadId"]
    return upload


def complete(client: Boto, repository: str, upload: str, *digests: str) -> Any:
    return client.complete_layer_upload(
        repositoryName=repository, uploadId=upload, layerDigests=list(digests)
    )


def availability(client: Boto, repository: str, *digests: str) -> list[tuple[str, int | None]]:
    reply = client.batch_check_layer_availability(repositoryName=repository, layerDigests=list(digests))
    return [(layer["layerAvailability"], layer.get("layerSize")) for layer in reply["layers"]]


async def test_a_layer_in_parts_is_what_was_sent(
    server: LocalECRPublic, client: Boto, repository: str
) -> None:
    data = random_bytes(11 * MIB)
    digest = push_layer(client, repository, data, part=5 * MIB)
    assert await server.read_blob(digest) == data
    assert availability(client, repository, digest, digest_of(b"other")) == [
        ("AVAILABLE", len(data)),
        ("UNAVAILABLE", None),
    ]


def test_what_initiate_and_upload_answer(client: Boto, repository: str) -> None:
    started = client.initiate_layer_upload(repositoryName=repository, registryId="123456789012")
    assert started["partSize"] == 10 * MIB
    part = send(client, repository, started["uploadId"], 0, b"12345")
    assert part["registryId"] == "123456789012"
    assert part["repositoryName"] == repository
    assert part["uploadId"] == started["uploadId"]
    assert part["lastByteReceived"] == 4


def test_parts_are_consecutive(client: Boto, repository: str) -> None:
    upload = begin(client, repository)
    with refused("InvalidLayerPartException", "not consecutive") as seen:
        send(client, repository, upload, 5, b"late")
    assert seen[0]["lastValidByteReceived"] == 0
    send(client, repository, upload, 0, b"12345")
    for first in (0, 4, 6):
        with refused("InvalidLayerPartException") as seen:
            send(client, repository, upload, first, b"again")
        assert seen[0]["lastValidByteReceived"] == 4
        assert seen[0]["repositoryName"] == repository
        assert seen[0]["registryId"] == "123456789012"
        assert seen[0]["uploadId"] == upload
    assert send(client, repository, upload, 5, b"678")["lastByteReceived"] == 7


def test_a_part_has_the_bytes_that_it_says(client: Boto, repository: str) -> None:
    upload = begin(client, repository)
    for last in (3, 5, 0):
        with refused("InvalidParameterException", "partFirstByte"):
            send(client, repository, upload, 0, b"12345", last)
    with refused("InvalidParameterException"):
        send(client, repository, upload, 0, b"", 0)


def test_all_parts_but_the_last_have_five_mebibytes(client: Boto, repository: str) -> None:
    upload = begin(client, repository)
    send(client, repository, upload, 0, b"12345")
    send(client, repository, upload, 5, b"678")
    with refused("LayerPartTooSmallException", "5 MiB"):
        complete(client, repository, upload, digest_of(b"12345678"))


def test_the_last_part_may_be_small(client: Boto, repository: str) -> None:
    push_layer(client, repository, random_bytes(5 * MIB + 1), part=5 * MIB)


def test_an_upload_of_nothing(client: Boto, repository: str) -> None:
    with refused("EmptyUploadException"):
        complete(client, repository, begin(client, repository), digest_of(b""))


def test_a_digest_has_to_match(client: Boto, repository: str) -> None:
    upload = begin(client, repository)
    send(client, repository, upload, 0, b"12345")
    with refused("InvalidLayerException", "None of the provided layer digests match"):
        complete(client, repository, upload, digest_of(b"other"))
    # One of several is enough, and the upload is still there.
    reply = complete(client, repository, upload, digest_of(b"other"), digest_of(b"12345"))
    assert reply["layerDigest"] == digest_of(b"12345")
    with refused("UploadNotFoundException", upload):
        complete(client, repository, upload, digest_of(b"12345"))


def test_a_layer_that_is_there_already(client: Boto, repository: str) -> None:
    push_layer(client, repository, b"12345")
    with refused("LayerAlreadyExistsException", digest_of(b"12345")):
        push_layer(client, repository, b"12345")


def test_layers_belong_to_their_repository(client: Boto, repository: str) -> None:
    digest = push_layer(client, repository, b"12345")
    client.create_repository(repositoryName="other")
    assert availability(client, "other", digest) == [("UNAVAILABLE", None)]
    push_layer(client, "other", b"12345")
    assert availability(client, "other", digest) == [("AVAILABLE", 5)]


def test_an_upload_belongs_to_its_repository(client: Boto, repository: str) -> None:
    client.create_repository(repositoryName="other")
    upload = begin(client, repository)
    with refused("UploadNotFoundException"):
        send(client, "other", upload, 0, b"12345")


def test_uploads_expire() -> None:
    with running(settings=Settings(upload_lifetime=dt.timedelta())) as server:
        client = boto(server)
        client.create_repository(repositoryName="app")
        upload = begin(client, "app")
        with refused("UploadNotFoundException"):
            send(client, "app", upload, 0, b"12345")


def test_digests_that_are_none(client: Boto, repository: str) -> None:
    reply = client.batch_check_layer_availability(
        repositoryName=repository, layerDigests=["sha256:short", "../../etc/passwd", digest_of(b"")]
    )
    assert [failure["failureCode"] for failure in reply["failures"]] == ["InvalidLayerDigest"] * 2
    assert [layer["layerDigest"] for layer in reply["layers"]] == [digest_of(b"")]


def test_a_layer_uploaded_many_times_at_once(client: Boto, repository: str) -> None:
    data = random_bytes(2 * MIB)

    def push(_: int) -> str:
        try:
            return push_layer(client, repository, data)
        except client.exceptions.LayerAlreadyExistsException:
            return "exists"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(push, range(8)))
    assert sorted(outcomes) == ["exists"] * 7 + [digest_of(data)]


def test_one_upload_completed_many_times_at_once(client: Boto, repository: str) -> None:
    data = random_bytes(2 * MIB)
    upload = begin(client, repository)
    send(client, repository, upload, 0, data)

    def finish(_: int) -> str:
        try:
            complete(client, repository, upload, digest_of(data))
        except client.exceptions.UploadNotFoundException:
            return "gone"
        return "done"

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(finish, range(8))) == ["done"] + ["gone"] * 7


def test_the_same_part_sent_many_times_at_once(client: Boto, repository: str) -> None:
    data = random_bytes(MIB)
    upload = begin(client, repository)

    def part(_: int) -> str:
        try:
            send(client, repository, upload, 0, data)
        except client.exceptions.InvalidLayerPartException as error:
            return str(error.response["lastValidByteReceived"])
        return "taken"

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(part, range(8))) == [str(MIB - 1)] * 7 + ["taken"]
    complete(client, repository, upload, digest_of(data))


def test_uploads_of_what_is_not_there(client: Boto, repository: str) -> None:
    nowhere = "The repository with name 'nope' does not exist in the registry with id '123456789012'"
    with refused("RepositoryNotFoundException", nowhere):
        begin(client, "nope")
    with refused("UploadNotFoundException"):
        send(client, repository, "00000000-0000-0000-0000-000000000000", 0, b"1")
    with refused("UploadNotFoundException"):
        complete(client, repository, "00000000-0000-0000-0000-000000000000", digest_of(b"1"))
    with refused("RegistryNotFoundException"):
        client.initiate_layer_upload(repositoryName=repository, registryId="999999999999")
