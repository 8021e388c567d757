"""A disk that is full or fails: nothing acknowledged is lost, nothing that did not fit stays."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.errors import ServiceError
from aioecrpublic.local import LocalECRPublic, Settings
from aioecrpublic.local.database import Database
from aioecrpublic.local.disk import Disk, NoSpaceError, Reserve
from tests.local.rules.helpers import boto, digest_of, manifest_of, push_layer, refused, running
from tests.local.v2.helpers import MANIFEST, Registry, logged_in
from tests.support import oracle
from tests.support.oci import write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.local.rules.helpers import Boto

MIB = 1024 * 1024
ANY_PARTS = Settings(smallest_part=1)
FULL = "InsufficientStorageException"
PNG = b"\x89PNG\r\n\x1a\n"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def stored(directory: Path) -> int:
    """Bytes of uploads."""
    return sum(path.stat().st_size for path in (directory / "uploads").iterdir())


@contextmanager
def full(directory: Path) -> Generator[None, None, None]:
    """Somebody else fills the disk to its last byte."""
    with (directory / "filling").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (64 * 1024, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    try:
        yield
    finally:
        (directory / "filling").unlink()


def taken(client: Boto, repository: str, data: bytes) -> bool:
    """Push a layer unless there is no room for it."""
    try:
        push_layer(client, repository, data, 100_000)
    except oracle.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != FULL:
            raise
        return False
    return True


@pytest.fixture
def small_disk(mounted: Callable[[str], Path]) -> Path:
    return mounted("size=6m")


def everything_is_there(registry: Registry, layers: list[str]) -> None:
    for digest in layers:
        reply = registry.call("GET", f"blobs/{digest}")
        assert reply.status == 200
        assert digest_of(reply.body) == digest


@pytest.mark.slow
def test_a_disk_that_is_filled_by_layers(small_disk: Path) -> None:
    directory = small_disk / "data"
    layers: list[str] = []
    with (
        running(data_dir=directory, settings=ANY_PARTS) as server,
        closing(boto(server, attempts=3)) as client,
    ):
        for name in ("app", "other"):
            client.create_repository(repositoryName=name)
        registry = logged_in(server, client, "app")
        sizes = random.Random(1)
        for number in range(60):
            data = noise(sizes.randrange(1000, 500_000), number)
            if taken(client, "app", data):
                layers.append(digest_of(data))
        assert len(layers) > 8
        everything_is_there(registry, layers)
    with running(data_dir=directory, settings=ANY_PARTS) as server, closing(boto(server)) as client:
        registry = logged_in(server, client, "app")
        everything_is_there(registry, layers)
        client.delete_repository(repositoryName="app", force=True)
        assert taken(client, "other", noise(2 * MIB))
    assert (directory / "reserve").stat().st_size > 256 * 1024


def test_a_part_that_does_not_fit_leaves_nothing(small_disk: Path) -> None:
    directory = small_disk / "data"
    with running(data_dir=directory) as server, closing(boto(server, attempts=3)) as client:
        client.create_repository(repositoryName="app")
        upload = client.initiate_layer_upload(repositoryName="app")["uploadId"]
        registry = logged_in(server, client, "app")
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        with refused(FULL, "no space left") as seen:
            send(client, upload, 0, noise(8 * MIB))
        # No client tries it again by itself.
        metadata = seen[0]["ResponseMetadata"]
        assert (metadata["HTTPStatusCode"], metadata["RetryAttempts"]) == (507, 0)
        assert stored(directory) == 0
        for method in ("PATCH", "PUT"):
            reply = registry.call(method, f"{location}?digest={digest_of(b'')}", noise(8 * MIB))
            assert (reply.status, reply.codes) == (507, ["UNKNOWN"])
            assert stored(directory) == 0
        reply = registry.call("POST", f"blobs/uploads/?digest={digest_of(b'')}", noise(8 * MIB))
        assert reply.status == 507
        # All of them can go on.
        send(client, upload, 0, b"12345")
        client.complete_layer_upload(
            repositoryName="app", uploadId=upload, layerDigests=[digest_of(b"12345")]
        )
        assert registry.call("PATCH", location, b"6789").status == 202
        assert registry.call("PUT", f"{location}?digest={digest_of(b'6789')}").status == 201


def send(client: Boto, upload: str, first: int, data: bytes) -> None:
    client.upload_layer_part(
        repositoryName="app",
        uploadId=upload,
        partFirstByte=first,
        partLastByte=first + len(data) - 1,
        layerPartBlob=data,
    )


def test_what_takes_room_is_refused_and_what_frees_it_is_not(small_disk: Path) -> None:
    directory = small_disk / "data"
    layer, config = noise(1000), b"{}"
    with running(data_dir=directory, settings=ANY_PARTS) as server, closing(boto(server)) as client:
        for name in ("app", "other"):
            client.create_repository(repositoryName=name, tags=[{"Key": "a", "Value": "b"}])
        for data in (layer, config):
            push_layer(client, "app", data)
        for tag in ("1.0", "2.0"):
            client.put_image(repositoryName="app", imageManifest=manifest_of(config, layer), imageTag=tag)
        registry = logged_in(server, client, "app")
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        upload = client.initiate_layer_upload(repositoryName="app")["uploadId"]
        send(client, upload, 0, layer[:500])
        with full(small_disk):
            attempts: list[Callable[[], Any]] = [
                lambda: send(client, upload, 500, noise(5 * MIB)),
                lambda: client.put_repository_catalog_data(
                    repositoryName="app", catalogData={"logoImageBlob": PNG + noise(300_000)}
                ),
            ]
            for attempt in attempts:
                with refused(FULL):
                    attempt()
            big = manifest_of(config, layer, annotations={"x": noise(1_000_000).hex()})
            with refused(FULL):
                client.put_image(repositoryName="app", imageManifest=big)
            reply = registry.call("PUT", "manifests/3.0", big.encode(), {"Content-Type": MANIFEST})
            assert reply.status == 507
            client.batch_delete_image(repositoryName="app", imageIds=[{"imageTag": "2.0"}])
            arn = "arn:aws:ecr-public::123456789012:repository/other"
            client.untag_resource(resourceArn=arn, tagKeys=["a"])
            assert registry.call("DELETE", location).status == 204
            client.delete_repository(repositoryName="other")
            (detail,) = client.describe_images(repositoryName="app")["imageDetails"]
            assert detail["imageTags"] == ["1.0"]
            assert registry.call("GET", "manifests/1.0").status == 200
        # There is room again, and nobody has to start anything anew.
        send(client, upload, 500, layer[500:] + b"!")
        client.complete_layer_upload(
            repositoryName="app", uploadId=upload, layerDigests=[digest_of(layer + b"!")]
        )


def test_a_registry_on_a_full_disk_starts_and_deletes(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = small_disk / "data"
    with running(data_dir=directory) as server, closing(boto(server)) as client:
        for name in ("app", "other"):
            client.create_repository(repositoryName=name)
        push_layer(client, "app", noise(500_000))
    with full(small_disk), running(data_dir=directory) as server, closing(boto(server)) as client:
        client.delete_repository(repositoryName="other")
        assert "only reads and deletes" in caplog.text
    with running(data_dir=directory) as server, closing(boto(server)) as client:
        (found,) = client.describe_repositories()["repositories"]
        assert found["repositoryName"] == "app"


async def test_a_push_to_a_full_disk_says_so_at_once(small_disk: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", layers=2, layer_size=4 * MIB)
    async with (
        LocalECRPublic(small_disk / "data") as server,
        ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
    ):
        await client.create_repository(repository_name="team/app")
        with pytest.raises(ServiceError, match="no space left on the registry's disk") as caught:
            await push_image(client, image.directory, "team/app")
    assert (caught.value.status, caught.value.attempts) == (507, 1)


def spoil(*codes: int) -> Callable[..., int]:
    """A ``pwrite`` that writes half of what it is told to, then fails."""
    write, errors = os.pwrite, iter(codes)
    calls = 0

    def pwrite(descriptor: int, data: Any, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls % 2:
            return write(descriptor, data[: len(data) // 2], offset)
        code = next(errors, None)
        if code is None:
            return write(descriptor, data, offset)
        raise OSError(code, os.strerror(code))

    return pwrite


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (errno.ENOSPC, 507, FULL),
        (errno.EDQUOT, 507, FULL),
        (errno.EIO, 500, "ServerException"),
        (errno.EROFS, 500, "ServerException"),
    ],
)
def test_a_disk_that_fails_in_the_middle_of_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, status: int, name: str
) -> None:
    data = noise(300_000)
    with running(data_dir=tmp_path) as server, closing(boto(server)) as client:
        client.create_repository(repositoryName="app")
        upload = client.initiate_layer_upload(repositoryName="app")["uploadId"]
        registry = logged_in(server, client, "app")
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        monkeypatch.setattr(os, "pwrite", spoil(code, code))
        with refused(name):
            send(client, upload, 0, data)
        assert stored(tmp_path) == 0
        assert registry.call("PATCH", location, data).status == status
        assert stored(tmp_path) == 0
        send(client, upload, 0, data)
        client.complete_layer_upload(repositoryName="app", uploadId=upload, layerDigests=[digest_of(data)])
        assert registry.call("PUT", f"{location}?digest={digest_of(data)}", data).status == 201


def test_a_database_that_is_full_refuses_and_goes_on(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "registry.sqlite", durable=False)) as database:
        with database.transaction() as cursor:
            pages = cursor.value("PRAGMA page_count")
            cursor.run("INSERT INTO setting VALUES ('a', 'b')")
            cursor.value(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"), database.transaction() as cursor:
            cursor.run("INSERT INTO setting VALUES ('c', ?)", "x" * 100_000)
        with database.transaction() as cursor:
            assert cursor.run("DELETE FROM setting WHERE name = 'a'") == 1


def leave_undone(database: Database) -> None:
    """A transaction as a disk that fails leaves it: neither to be committed nor to be rolled back."""
    with database.transaction() as cursor:
        cursor.run("INSERT INTO setting VALUES ('a', 'b')")
        cursor._connection.close()


def test_a_transaction_that_cannot_be_rolled_back_is_not_the_last(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "registry.sqlite", durable=False)) as database:
        with pytest.raises(sqlite3.Error):
            leave_undone(database)
        with database.transaction() as cursor:
            assert cursor.value("SELECT value FROM setting WHERE name = 'a'") is None
            cursor.run("INSERT INTO setting VALUES ('a', 'b')")
        with database.transaction() as cursor:
            assert cursor.value("SELECT value FROM setting WHERE name = 'a'") == "b"


def test_the_reserve_is_given_up_for_a_deletion_and_nothing_else_until_it_is_back(small_disk: Path) -> None:
    with closing(Database(small_disk / "registry.sqlite", durable=False)) as database:
        disk = Disk(database, Reserve(small_disk))
        assert disk.reserve_room()
        reserve = small_disk / "reserve"
        assert reserve.stat().st_size == 256 * 1024 + database.size()
        with full(small_disk):
            # Held as it is, it needs no more room.
            disk.require_room()

            def delete() -> str:
                (small_disk / "log").write_bytes(bytes(256 * 1024))
                return "done"

            with pytest.raises(OSError, match="No space left"):
                delete()
            assert disk.free(delete) == "done"
            assert not reserve.exists()
            for _ in range(2):
                with pytest.raises(NoSpaceError):
                    disk.require_room()
        disk.require_room()
        assert disk.has_room
        assert reserve.stat().st_size == 256 * 1024 + database.size()


@pytest.mark.parametrize(
    "error", [ValueError("no"), OSError(errno.EIO, "the disk fails"), sqlite3.IntegrityError("no")]
)
def test_what_fails_for_another_reason_is_not_done_again(tmp_path: Path, error: Exception) -> None:
    with closing(Database(tmp_path / "registry.sqlite", durable=False)) as database:
        disk = Disk(database, Reserve(tmp_path))
        disk.reserve_room()
        calls = []

        def delete() -> None:
            calls.append(1)
            raise error

        with pytest.raises(type(error)):
            disk.free(delete)
        assert len(calls) == 1
        assert disk.has_room


def test_bytes_of_a_part_that_was_never_acknowledged_go_at_the_next_start(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as server, closing(boto(server)) as client:
        client.create_repository(repositoryName="app")
        uploads = [client.initiate_layer_upload(repositoryName="app")["uploadId"] for _ in range(2)]
        for upload in uploads:
            send(client, upload, 0, b"12345")
    longer, shorter = (tmp_path / "uploads" / upload for upload in uploads)
    with longer.open("ab") as file:
        file.write(noise(1000))
    os.truncate(shorter, 4)
    with running(data_dir=tmp_path) as server, closing(boto(server)) as client:
        assert longer.read_bytes() == b"12345"
        send(client, longer.name, 5, b"6")
        # What was acknowledged is not there: it has to be begun again.
        assert not shorter.exists()
        with refused("UploadNotFoundException"):
            send(client, shorter.name, 5, b"6")
