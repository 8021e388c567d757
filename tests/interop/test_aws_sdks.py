"""boto3 and aiobotocore, as they are, against the local ECR Public; our client reads back what they wrote."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aiobotocore.session import get_session

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.local import LocalECRPublic
from tests.local.scenario import digest_of, manifest_of
from tests.local.sdks import arguments
from tests.support import oracle
from tests.support.oci import random_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LAYER = random_bytes(12 * 1024 * 1024 + 3)
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
MANIFEST = manifest_of(CONFIG.encode(), LAYER)


@pytest.fixture
async def server() -> AsyncIterator[LocalECRPublic]:
    async with LocalECRPublic() as running:
        yield running


async def read_back(server: LocalECRPublic) -> None:
    async with ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client:
        (image,) = await client.paginate_describe_images(repository_name="team/app").collect()
        assert image.image_digest == digest_of(MANIFEST.encode())
        assert image.image_tags == ["1.0"]
        assert image.image_size_in_bytes == len(LAYER) + len(CONFIG)
        assert image.image_pushed_at is not None
        assert abs(dt.datetime.now(dt.UTC) - image.image_pushed_at) < dt.timedelta(minutes=2)
    assert await server.read_blob(digest_of(LAYER)) == LAYER
    assert await server.read_manifest("team/app", digest_of(MANIFEST.encode())) == MANIFEST.encode()


def push_with_boto3(client: Any) -> None:
    client.create_repository(repositoryName="team/app")
    for data in (CONFIG.encode(), LAYER):
        begun = client.initiate_layer_upload(repositoryName="team/app")
        for first in range(0, len(data), begun["partSize"]):
            part = data[first : first + begun["partSize"]]
            sent = client.upload_layer_part(
                repositoryName="team/app",
                uploadId=begun["uploadId"],
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            assert sent["lastByteReceived"] == first + len(part) - 1
        client.complete_layer_upload(
            repositoryName="team/app", uploadId=begun["uploadId"], layerDigests=[digest_of(data)]
        )
    client.put_image(repositoryName="team/app", imageManifest=MANIFEST, imageTag="1.0")


async def test_boto3_pushes_and_we_read_it_back(server: LocalECRPublic) -> None:
    client = boto3.Session().client(**arguments(server, config=None))
    await asyncio.to_thread(push_with_boto3, client)
    await read_back(server)


# aiohttp advises aiobotocore against the way it sends large bodies.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_aiobotocore_pushes_and_we_read_it_back(server: LocalECRPublic) -> None:
    async with get_session().create_client(**arguments(server, config=None)) as client:
        await client.create_repository(repositoryName="team/app")
        for data in (CONFIG.encode(), LAYER):
            begun = await client.initiate_layer_upload(repositoryName="team/app")
            for first in range(0, len(data), begun["partSize"]):
                part = data[first : first + begun["partSize"]]
                await client.upload_layer_part(
                    repositoryName="team/app",
                    uploadId=begun["uploadId"],
                    partFirstByte=first,
                    partLastByte=first + len(part) - 1,
                    layerPartBlob=part,
                )
            await client.complete_layer_upload(
                repositoryName="team/app", uploadId=begun["uploadId"], layerDigests=[digest_of(data)]
            )
        await client.put_image(repositoryName="team/app", imageManifest=MANIFEST, imageTag="1.0")
    await read_back(server)


def refused_with(client: Any) -> str:
    with pytest.raises(oracle.exceptions.ClientError) as raised:
        client.describe_repositories(repositoryNames=["team/app"])
    return str(raised.value.response["Error"]["Code"])


async def test_a_wrong_secret_is_refused(server: LocalECRPublic) -> None:
    wrong = Credentials(server.credentials.access_key_id, "not the secret")
    client = boto3.Session().client(**arguments(server, wrong))
    assert await asyncio.to_thread(refused_with, client) == "InvalidSignatureException"


async def test_an_unknown_key_is_refused(server: LocalECRPublic) -> None:
    stranger = Credentials("AKIASTRANGER00000000", "secret")
    client = boto3.Session().client(**arguments(server, stranger))
    assert await asyncio.to_thread(refused_with, client) == "UnrecognizedClientException"


async def test_a_tampered_body_is_refused(server: LocalECRPublic) -> None:
    client = boto3.Session().client(**arguments(server))

    def tamper(request: Any, **_: object) -> None:
        request.body = request.body.replace(b"team/app", b"team/bad")

    client.meta.events.register("before-send.ecr-public", tamper)
    assert await asyncio.to_thread(refused_with, client) == "InvalidSignatureException"


@pytest.mark.parametrize("minutes", [-20, 20])
async def test_a_clock_that_is_off_is_refused(minutes: int) -> None:
    # boto3's clock is the machine's, so it is the registry's that is moved.
    def clock() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)

    async with LocalECRPublic(clock=clock) as server:
        client = boto3.Session().client(**arguments(server))
        assert await asyncio.to_thread(refused_with, client) == "InvalidSignatureException"
