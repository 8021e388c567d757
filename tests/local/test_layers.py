"""The operations on layers, called as the API calls them, word by word."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from aioecrpublic._generated import types
from aioecrpublic.errors import (
    EmptyUploadException,
    InvalidLayerException,
    InvalidLayerPartException,
    InvalidParameterException,
    LayerAlreadyExistsException,
    LayerPartTooSmallException,
    LimitExceededException,
    RegistryNotFoundException,
    RepositoryNotFoundException,
    ServiceError,
    UploadNotFoundException,
)
from aioecrpublic.local.blobs import BlobStore
from aioecrpublic.local.database import Database
from aioecrpublic.local.disk import Disk, Reserve
from aioecrpublic.local.operations import layers
from aioecrpublic.local.state import Context, Settings, State
from tests.local.rules.helpers import Clock, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

APP, OTHER, OWN = "team/app", "team/other", "123456789012"
NOWHERE = "01234567-89ab-cdef-0123-456789abcdef"
HOUR = dt.timedelta(hours=1)
SETTINGS = Settings(part_size=10, smallest_part=5, most_parts=3, largest_layer=25, upload_lifetime=HOUR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(tmp_path: Path, clock: Clock) -> Iterator[Context]:
    """A registry of two repositories that takes little."""
    with closing(Database(tmp_path / "registry.db", durable=False)) as database:
        with database.transaction() as cursor:
            for name in (APP, OTHER):
                cursor.run("INSERT INTO repository (name, created_at) VALUES (?, 0)", name)
        state = State(
            database=database,
            blobs=BlobStore(tmp_path, durable=False),
            disk=Disk(database, Reserve(tmp_path)),
            settings=SETTINGS,
            clock=clock,
            token_key=b"",
            base_url=str,
        )
        yield Context(state, cast("Any", None))


def begin(context: Context, name: str = APP, registry: str | None = None) -> str:
    request = types.InitiateLayerUploadRequest(repository_name=name, registry_id=registry)
    reply = layers.initiate_layer_upload(context, request)
    assert reply.part_size == 10
    assert reply.upload_id is not None
    return reply.upload_id


def send(
    context: Context, upload: str, first: int, data: bytes, last: int | None = None, **where: Any
) -> types.UploadLayerPartResponse:
    request = types.UploadLayerPartRequest(
        repository_name=where.get("name", APP),
        registry_id=where.get("registry"),
        upload_id=upload,
        part_first_byte=first,
        part_last_byte=first + len(data) - 1 if last is None else last,
        layer_part_blob=data,
    )
    return layers.upload_layer_part(context, request)


def complete(context: Context, upload: str, *digests: str, **where: Any) -> types.CompleteLayerUploadResponse:
    request = types.CompleteLayerUploadRequest(
        repository_name=where.get("name", APP),
        registry_id=where.get("registry"),
        upload_id=upload,
        layer_digests=list(digests),
    )
    return layers.complete_layer_upload(context, request)


def check(context: Context, *digests: str, **where: Any) -> types.BatchCheckLayerAvailabilityResponse:
    request = types.BatchCheckLayerAvailabilityRequest(
        repository_name=where.get("name", APP), registry_id=where.get("registry"), layer_digests=list(digests)
    )
    return layers.batch_check_layer_availability(context, request)


def push(context: Context, data: bytes, name: str = APP) -> str:
    upload = begin(context, name)
    send(context, upload, 0, data, name=name)
    complete(context, upload, digest_of(data), name=name)
    return digest_of(data)


@contextmanager
def refused(kind: type[ServiceError], message: str) -> Generator[None, None, None]:
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.message == message


def no_upload(upload: str, name: str = APP) -> str:
    return (
        f"Upload with id '{upload}' does not exist in the repository with name '{name}' in the "
        f"registry with id '{OWN}'"
    )


def row(context: Context, statement: str, *values: object) -> dict[str, Any] | None:
    with context.state.database.transaction() as cursor:
        found = cursor.row(statement, *values)
        return None if found is None else dict(found)


def test_replies_have_all_their_members(context: Context, clock: Clock) -> None:
    upload = begin(context)
    assert send(context, upload, 0, b"12345") == types.UploadLayerPartResponse(
        registry_id=OWN, repository_name=APP, upload_id=upload, last_byte_received=4
    )
    clock.ahead = HOUR / 2
    send(context, upload, 5, b"6789012")
    send(context, upload, 12, b"3")
    kept = row(context, "SELECT * FROM upload WHERE id = ?", upload)
    assert kept is not None
    assert kept.pop("touched_at") == pytest.approx(clock().timestamp(), abs=60)
    assert kept == {
        "id": upload,
        "repository": APP,
        "side": "api",
        "received": 13,
        "parts": 3,
        "smallest_part": 5,
        "last_part": 1,
    }
    digest = digest_of(b"1234567890123")
    assert complete(context, upload, digest) == types.CompleteLayerUploadResponse(
        registry_id=OWN, repository_name=APP, upload_id=upload, layer_digest=digest
    )
    assert row(context, "SELECT * FROM upload") is None
    assert list(context.state.blobs.uploads()) == []
    layer = row(context, "SELECT * FROM layer")
    assert layer is not None
    assert layer.pop("touched_at") == pytest.approx(clock().timestamp(), abs=60)
    assert layer == {"repository": APP, "digest": digest, "size": 13}
    assert context.state.blobs.path(digest).read_bytes() == b"1234567890123"


def test_availability_has_all_its_members(context: Context, clock: Clock) -> None:
    digest = push(context, b"12345")
    clock.ahead = HOUR
    asked = (digest, "sha256:short", digest_of(b"x"), digest, digest.upper(), digest.replace("256", "512"))
    reply = check(context, *asked)
    assert reply.layers == [
        types.Layer(layer_digest=digest, layer_availability=types.LayerAvailability.AVAILABLE, layer_size=5),
        types.Layer(layer_digest=digest_of(b"x"), layer_availability=types.LayerAvailability.UNAVAILABLE),
    ]
    assert reply.failures == [
        types.LayerFailure(
            layer_digest=wrong,
            failure_code=types.LayerFailureCode.INVALID_LAYER_DIGEST,
            failure_reason="Invalid layer digest",
        )
        for wrong in ("sha256:short", digest.upper(), digest.replace("256", "512"))
    ]
    # Who asks for a layer means to use it.
    layer = row(context, "SELECT touched_at FROM layer")
    assert layer is not None
    assert layer["touched_at"] == pytest.approx(clock().timestamp(), abs=60)


@pytest.mark.parametrize(
    "digest",
    ["", f"md5:{'a' * 66}", f"sha256:{'g' * 64}", f"sha256:{'X' * 64}", f"sha256:{'a' * 65}", "a" * 71],
)
def test_what_is_no_digest_is_a_failure(context: Context, digest: str) -> None:
    reply = check(context, digest)
    assert (len(reply.failures), reply.layers) == (1, [])


def test_another_registry_is_not_here(context: Context) -> None:
    upload = begin(context, registry=OWN)
    send(context, upload, 0, b"12345", registry="local")
    complete(context, upload, digest_of(b"12345"), registry=OWN)
    check(context, registry=OWN)
    calls: list[Callable[[str], object]] = [
        lambda other: begin(context, registry=other),
        lambda other: send(context, upload, 0, b"1", registry=other),
        lambda other: complete(context, upload, digest_of(b"1"), registry=other),
        lambda other: check(context, registry=other),
    ]
    for call in calls:
        with pytest.raises(RegistryNotFoundException, match="'999999999999'"):
            call("999999999999")


def test_another_repository_is_not_there(context: Context) -> None:
    upload = begin(context)
    calls: list[Callable[[str], object]] = [
        lambda name: begin(context, name),
        lambda name: send(context, upload, 0, b"1", name=name),
        lambda name: complete(context, upload, digest_of(b"1"), name=name),
        lambda name: check(context, name=name),
    ]
    for call in calls:
        with pytest.raises(RepositoryNotFoundException, match="'team/none'"):
            call("team/none")


@pytest.mark.parametrize(
    ("received", "first", "described", "last_valid"),
    [
        (b"", 5, "which there is not", 0),
        (b"12345", 4, "4", 4),
        (b"12345", 6, "4", 4),
        (b"12345", 0, "4", 4),
    ],
)
def test_parts_follow_each_other(
    context: Context, received: bytes, first: int, described: str, last_valid: int
) -> None:
    upload = begin(context)
    if received:
        send(context, upload, 0, received)
    with pytest.raises(InvalidLayerPartException) as caught:
        send(context, upload, first, b"67890")
    error = caught.value
    assert error.message == (
        f"Layer part with first byte {first} is not consecutive to the last byte of a previous layer part "
        f"upload, {described}"
    )
    assert (error.registry_id, error.repository_name, error.upload_id) == (OWN, APP, upload)
    assert error.last_valid_byte_received == last_valid


@pytest.mark.parametrize(("data", "last"), [(b"12345", 3), (b"12345", 5), (b"", -1)])
def test_a_part_has_the_bytes_that_it_says(context: Context, data: bytes, last: int) -> None:
    complaint = (
        "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: "
        f"'{len(data)} bytes are not those from partFirstByte to partLastByte'"
    )
    with refused(InvalidParameterException, complaint):
        send(context, begin(context), 0, data, last)


def test_only_so_many_parts_and_bytes(context: Context) -> None:
    upload = begin(context)
    for first in (0, 8, 16):
        send(context, upload, first, b"12345678")
    with refused(LimitExceededException, "A layer has at most 3 parts."):
        send(context, upload, 24, b"1")
    other = begin(context)
    with refused(LimitExceededException, "A layer has at most 25 bytes."):
        send(context, other, 0, bytes(26))
    send(context, other, 0, bytes(12))
    with refused(LimitExceededException, "A layer has at most 25 bytes."):
        send(context, other, 12, bytes(14))
    send(context, other, 12, bytes(13))
    complete(context, other, digest_of(bytes(25)))


@pytest.mark.parametrize(
    ("lengths", "enough"),
    [
        ((4,), True),
        ((5, 4), True),
        ((5, 5, 1), True),
        ((4, 5), False),
        ((4, 1), False),
        ((5, 4, 5), False),
        ((4, 5, 5), False),
    ],
)
def test_all_parts_but_the_last_have_a_least_size(
    context: Context,
    lengths: tuple[int, ...],
    enough: bool,  # noqa: FBT001 - cases
) -> None:
    upload, first = begin(context), 0
    for length in lengths:
        send(context, upload, first, bytes(length))
        first += length
    if enough:
        complete(context, upload, digest_of(bytes(first)))
        return
    with refused(LayerPartTooSmallException, "Layer parts must be at least 5 MiB in size."):
        complete(context, upload, digest_of(bytes(first)))


def test_an_upload_without_parts_is_no_layer(context: Context) -> None:
    with refused(EmptyUploadException, "The specified layer upload does not contain any layer parts."):
        complete(context, begin(context), digest_of(b""))


def test_a_layer_has_one_of_the_digests(context: Context) -> None:
    upload = begin(context)
    send(context, upload, 0, b"12345")
    complaint = "None of the provided layer digests match the calculated layer digest"
    with refused(InvalidLayerException, complaint):
        complete(context, upload, digest_of(b"1"), digest_of(b"2"))
    assert complete(context, upload, digest_of(b"1"), digest_of(b"12345")).layer_digest == digest_of(b"12345")


def test_a_layer_that_is_there_is_touched(context: Context, clock: Clock) -> None:
    digest = push(context, b"12345")
    push(context, b"12345", OTHER)
    clock.ahead = HOUR
    upload = begin(context)
    send(context, upload, 0, b"12345")
    complaint = (
        f"The layer with digest '{digest}' already exists in the repository with name '{APP}' in "
        f"registry with id '{OWN}'"
    )
    with refused(LayerAlreadyExistsException, complaint):
        complete(context, upload, digest)
    assert list(context.state.blobs.uploads()) == []
    for name, ahead in ((APP, HOUR), (OTHER, dt.timedelta())):
        layer = row(context, "SELECT touched_at FROM layer WHERE repository = ?", name)
        assert layer is not None
        assert layer["touched_at"] == pytest.approx((clock() - HOUR + ahead).timestamp(), abs=60)


def test_an_upload_is_one_repositorys_and_one_sides_and_rests_no_longer_than_it_may(
    context: Context, clock: Clock
) -> None:
    upload, docker = begin(context), NOWHERE
    with context.state.database.transaction() as cursor:
        layers.add_upload(context.state, cursor, APP, docker, "v2")
    send(context, upload, 0, b"12345")
    for wrong, name in ((upload, OTHER), (docker, APP), (NOWHERE[::-1], APP)):
        with refused(UploadNotFoundException, no_upload(wrong, name)):
            send(context, wrong, 5, b"67890", name=name)
        with refused(UploadNotFoundException, no_upload(wrong, name)):
            complete(context, wrong, digest_of(b"12345"), name=name)
    clock.ahead = HOUR - dt.timedelta(minutes=5)
    send(context, upload, 5, b"67890")
    # That was a sign of life.
    clock.ahead += HOUR - dt.timedelta(minutes=5)
    send(context, upload, 10, b"12345")
    clock.ahead += HOUR + dt.timedelta(minutes=5)
    with refused(UploadNotFoundException, no_upload(upload)):
        complete(context, upload, digest_of(b"123456789012345"))


def test_an_upload_whose_file_is_gone_is_none(context: Context) -> None:
    upload, other = begin(context), begin(context)
    send(context, upload, 0, b"12345")
    for gone in (upload, other):
        context.state.blobs.drop_upload(gone)
    with refused(UploadNotFoundException, no_upload(upload)):
        complete(context, upload, digest_of(b"12345"))
    with refused(UploadNotFoundException, no_upload(other)):
        send(context, other, 0, b"12345")


def test_an_upload_that_is_forgotten_while_its_part_is_written_is_none(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(context)
    open_upload = context.state.blobs.open_upload

    def forget(*arguments: Any) -> Any:
        row(context, "DELETE FROM upload RETURNING id")
        return open_upload(*arguments)

    monkeypatch.setattr(context.state.blobs, "open_upload", forget)
    with refused(UploadNotFoundException, no_upload(upload)):
        send(context, upload, 0, b"12345")


def test_missing_layers_are_those_of_the_repository(context: Context) -> None:
    here, elsewhere, nowhere = push(context, b"1"), push(context, b"2", OTHER), digest_of(b"3")
    with context.state.database.transaction() as cursor:
        missing = layers.missing_layers(cursor, APP, [nowhere, here, elsewhere])
    assert missing == [nowhere, elsewhere]


@pytest.mark.parametrize("work", ["open_upload", "digest"])
def test_uploads_do_not_wait_for_each_other(
    context: Context, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    slow, quick = begin(context), begin(context)
    send(context, slow, 0, b"12345")
    begun, end = threading.Event(), threading.Event()
    do: Callable[..., Any] = getattr(context.state.blobs, work)

    def dawdle(upload: str, *arguments: object) -> Any:
        if upload == slow:
            begun.set()
            assert end.wait(20)
        return do(upload, *arguments)

    monkeypatch.setattr(context.state.blobs, work, dawdle)
    with ThreadPoolExecutor(2) as threads:
        if work == "open_upload":
            first = threads.submit(send, context, slow, 5, b"67890")
        else:
            first = threads.submit(complete, context, slow, digest_of(b"12345"))  # type: ignore[arg-type]
        # Not waited for in vain, should it fail.
        first.add_done_callback(lambda _: begun.set())
        try:
            assert begun.wait(20)
            send(context, quick, 0, b"1")
            complete(context, quick, digest_of(b"1"))
            assert not first.done()
        finally:
            end.set()
        first.result(20)
