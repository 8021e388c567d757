"""The registry's life: limits, timeouts, its directory, restarts, what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import sqlite3
import threading
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.errors import ConfigurationError
from aioecrpublic.local import LocalECRPublic, Settings
from tests.local.rules.helpers import (
    MIB,
    OTHER,
    OTHER_ACCOUNT,
    Boto,
    boto,
    digest_of,
    push_layer,
    push_small_image,
    refused,
    running,
    signed,
)
from tests.support.exchange import exchange
from tests.support.waiting import until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Amz-Target": "SpencerFrontendService.MakeCoffee"}, "UnknownOperationException"),
        ({"X-Amz-Target": "AmazonEC2.DescribeRegistries"}, "UnknownOperationException"),
        ({"X-Amz-Target": ""}, "UnknownOperationException"),
        ({"Content-Type": "application/json"}, "UnknownOperationException"),
    ],
)
def test_what_is_no_call(server: LocalECRPublic, headers: dict[str, str], code: str) -> None:
    given = signed(server, "DescribeRegistries") | headers
    reply = exchange(server.endpoint_url, "POST", "/", given, b"{}")
    assert (reply.status, reply.code) == (400, code)
    assert reply.headers["x-amzn-RequestId"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"maxResults":"x"}'])
def test_json_that_is_none(server: LocalECRPublic, body: bytes) -> None:
    headers = signed(server, "DescribeRegistries", body)
    reply = exchange(server.endpoint_url, "POST", "/", headers, body)
    assert (reply.status, reply.code) == (400, "SerializationException")
    assert reply.headers["x-amzn-RequestId"]


@pytest.mark.parametrize(
    ("operation", "message", "member"),
    [
        ("CreateRepository", {}, "repositoryName"),
        ("CreateRepository", {"repositoryName": "../../etc"}, "repositoryName"),
        ("CreateRepository", {"repositoryName": "UPPER"}, "repositoryName"),
        ("UploadLayerPart", {"repositoryName": "a" * 4, "uploadId": "x" * 36}, "partFirstByte"),
        ("DescribeRepositories", {"maxResults": 0}, "maxResults"),
    ],
)
def test_members_that_are_wrong(server: LocalECRPublic, operation: str, message: object, member: str) -> None:
    body = json.dumps(message).encode()
    reply = exchange(server.endpoint_url, "POST", "/", signed(server, operation, body), body)
    assert (reply.status, reply.code) == (400, "InvalidParameterException")
    assert f"'{member}'" in reply.message


def test_half_of_a_surrogate_pair(server: LocalECRPublic) -> None:
    body = b'{"displayName":"\\ud800"}'
    reply = exchange(server.endpoint_url, "POST", "/", signed(server, "PutRegistryCatalogData", body), body)
    assert (reply.status, reply.code) == (400, "SerializationException")


def test_a_logo_is_served(server: LocalECRPublic, client: Boto, repository: str) -> None:
    data = {"logoImageBlob": PNG, "description": "x"}
    reply = client.put_repository_catalog_data(repositoryName=repository, catalogData=data)
    url = reply["catalogData"]["logoUrl"]
    path = url.removeprefix(server.endpoint_url)
    found = exchange(server.endpoint_url, "GET", path)
    assert (found.status, found.headers["Content-Type"], found.body) == (200, "image/png", PNG)
    # Other blobs are no logos.
    layer = push_layer(client, repository, b"secret")
    assert exchange(server.endpoint_url, "GET", f"/logos/{layer.removeprefix('sha256:')}").status == 404
    client.put_repository_catalog_data(repositoryName=repository, catalogData={"description": "y"})
    assert exchange(server.endpoint_url, "GET", path).status == 404


def test_other_accounts_do_what_the_policy_lets_them(
    server: LocalECRPublic, client: Boto, repository: str
) -> None:
    other = boto(server, credentials=OTHER)
    here: dict[str, Any] = {"registryId": "123456789012"}
    with refused("AccessDeniedException", "ecr-public:CreateRepository"):
        other.create_repository(repositoryName="mine")
    with refused("AccessDeniedException"):
        other.describe_repositories()
    with refused("RepositoryNotFoundException", OTHER_ACCOUNT):
        other.delete_repository(repositoryName=repository)
    for name, more in (("delete_repository", {"force": True}), ("initiate_layer_upload", {})):
        with refused("AccessDeniedException"):
            getattr(other, name)(repositoryName=repository, **here, **more)
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"},
        "Action": ["ecr-public:*LayerUpload", "ECR-PUBLIC:UploadLayerPart"],
    }
    set_policy(client, repository, allow)
    push_layer(other, repository, b"12345", **here)
    with refused("AccessDeniedException", "ecr-public:DescribeImages"):
        other.describe_images(repositoryName=repository, **here)
    set_policy(client, repository, allow, {"Effect": "Deny", "Principal": "*", "Action": "*"}, force=True)
    with refused("AccessDeniedException"):
        other.initiate_layer_upload(repositoryName=repository, **here)
    set_policy(client, repository, allow | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    with refused("AccessDeniedException"):
        other.initiate_layer_upload(repositoryName=repository, **here)


def set_policy(client: Boto, repository: str, *statements: object, force: bool = False) -> None:
    text = json.dumps({"Version": "2008-10-17", "Statement": statements})
    client.set_repository_policy(repositoryName=repository, policyText=text, force=force)


def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as server:
        client = boto(server)
        client.create_repository(repositoryName="app")
        digest = push_small_image(client, "app", "1.0")
        upload = client.initiate_layer_upload(repositoryName="app")["uploadId"]
        part = {"repositoryName": "app", "uploadId": upload}
        client.upload_layer_part(
            **part, partFirstByte=0, partLastByte=5 * MIB - 1, layerPartBlob=bytes(5 * MIB)
        )
    with running(data_dir=tmp_path) as server:
        client = boto(server)
        (detail,) = client.describe_images(repositoryName="app")["imageDetails"]
        assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["1.0"])
        client.upload_layer_part(**part, partFirstByte=5 * MIB, partLastByte=5 * MIB, layerPartBlob=b"x")
        client.complete_layer_upload(**part, layerDigests=[digest_of(bytes(5 * MIB) + b"x")])


async def test_one_registry_on_one_directory(tmp_path: Path) -> None:
    async with LocalECRPublic(data_dir=tmp_path):
        with pytest.raises(ConfigurationError, match="is used by another registry"):
            async with LocalECRPublic(data_dir=tmp_path):
                pytest.fail("two registries on one directory")
    async with LocalECRPublic(data_dir=tmp_path):
        pass


@pytest.mark.parametrize("file", ["", "registry.sqlite", "blobs"])
async def test_a_directory_that_is_none_of_a_registry(tmp_path: Path, file: str) -> None:
    directory = tmp_path / "data"
    (directory / file).parent.mkdir(exist_ok=True)
    (directory / file).write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match=f"data_dir {directory}: "):
        async with LocalECRPublic(data_dir=directory):
            pytest.fail("a registry on something else")
    assert (directory / file).read_bytes() == b"something else" * 100


async def test_the_database_of_another_version(tmp_path: Path) -> None:
    async with LocalECRPublic(data_dir=tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "registry.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="has version 99"):
        async with LocalECRPublic(data_dir=tmp_path):
            pytest.fail("a registry on a database that it does not know")


async def test_it_listens_on_the_loopback_interface_unless_told_otherwise() -> None:
    async with LocalECRPublic() as server:
        assert urlsplit(server.endpoint_url).hostname == urlsplit(server.registry_url).hostname == "127.0.0.1"


async def test_a_port_that_is_taken() -> None:
    async with LocalECRPublic() as server:
        port = urlsplit(server.endpoint_url).port or 0
        says = f"cannot listen on 127.0.0.1 port {port}: address already in use"
        with pytest.raises(ConfigurationError, match=says):
            async with LocalECRPublic(port=port):
                pytest.fail("two registries on one port")


async def test_an_address_that_is_none_of_this_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        async with LocalECRPublic(host="192.0.2.1"):
            pytest.fail("a registry on another machine's address")


async def test_nobody_else_reads_the_directory_that_it_makes(tmp_path: Path) -> None:
    async with LocalECRPublic(data_dir=tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


async def test_what_was_left_half_done_is_cleared_up(tmp_path: Path) -> None:
    orphan = str(uuid.uuid4())
    async with LocalECRPublic(data_dir=tmp_path) as server:
        client = await asyncio.to_thread(boto, server)
        await asyncio.to_thread(client.create_repository, repositoryName="app")
        await asyncio.to_thread(push_layer, client, "app", b"a layer")
        begun = await asyncio.to_thread(client.initiate_layer_upload, repositoryName="app")
        lost = begun["uploadId"]
    # A file without its row, a row without its file, and a blob that nothing names.
    (tmp_path / "uploads" / lost).unlink()
    (tmp_path / "uploads" / orphan).touch()
    unnamed = tmp_path / "blobs" / "sha256" / "00" / ("0" * 64)
    unnamed.parent.mkdir(exist_ok=True)
    unnamed.touch()
    async with LocalECRPublic(data_dir=tmp_path) as server:
        assert not (tmp_path / "uploads" / orphan).exists()
        assert not unnamed.exists()
        assert await server.read_blob(digest_of(b"a layer")) == b"a layer"
        client = await asyncio.to_thread(boto, server)
        with refused("UploadNotFoundException", lost):
            await asyncio.to_thread(
                client.complete_layer_upload,
                repositoryName="app",
                uploadId=lost,
                layerDigests=[digest_of(b"")],
            )


async def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # The loop's own threads are its own.
    await asyncio.to_thread(int)

    def things() -> tuple[set[str], set[str], int]:
        threads = {thread.name for thread in threading.enumerate() if thread.name.startswith("aioecrpublic")}
        files = {
            str(entry.readlink())
            for entry in Path("/proc/self/fd").iterdir()
            if entry.is_symlink() and tmp_path in entry.readlink().parents
        }
        return threads, files, len(asyncio.all_tasks())

    before = things()
    for _ in range(3):
        async with (
            LocalECRPublic() as server,
            ECRPublicClient(
                region="us-east-1", endpoint_url=server.endpoint_url, credentials=server.credentials
            ) as client,
        ):
            await client.create_repository(repository_name="app")
            assert list(tmp_path.iterdir())
    assert things() == before
    assert not list(tmp_path.iterdir())


async def test_garbage_goes_while_the_registry_runs(tmp_path: Path) -> None:
    quick = Settings(upload_lifetime=dt.timedelta(seconds=1), sweep_interval=0.1)
    async with LocalECRPublic(data_dir=tmp_path, settings=quick) as server:
        client = await asyncio.to_thread(boto, server)
        await asyncio.to_thread(client.create_repository, repositoryName="app")
        digest = await asyncio.to_thread(push_small_image, client, "app", "1.0")
        await asyncio.to_thread(push_layer, client, "app", b"of no image")
        await asyncio.to_thread(client.initiate_layer_upload, repositoryName="app")

        def left() -> tuple[int, int]:
            return len(list(tmp_path.glob("blobs/sha256/*/*"))), len(list(tmp_path.glob("uploads/*")))

        await until(lambda: left() == (2, 0))
        # Without its image nothing needs the rest.
        await asyncio.to_thread(
            client.batch_delete_image, repositoryName="app", imageIds=[{"imageDigest": digest}]
        )
        await until(lambda: left() == (0, 0))


def test_tokens_are_for_one_region(server: LocalECRPublic) -> None:
    with refused("UnsupportedCommandException", "only supported in us-east-1"):
        boto(server, region="us-west-2").get_authorization_token()


def test_credentials_of_ones_own() -> None:
    own = Credentials("AKIAMINE", "my-secret")
    with running(credentials=own) as server:
        assert server.credentials == own
        boto(server, credentials=own).describe_registries()
        with refused("UnrecognizedClientException"):
            boto(server).describe_registries()


def test_an_account_may_have_several_credentials() -> None:
    more = Credentials("AKIAMORE", "more-secret", "more-token")
    with running(accounts={"123456789012": more}) as server:
        boto(server).create_repository(repositoryName="app")
        (found,) = boto(server, credentials=more).describe_repositories()["repositories"]
        assert found["registryId"] == "123456789012"
