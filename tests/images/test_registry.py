from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yarl

from aioecrpublic.images import (
    Descriptor,
    ImageError,
    ImageSource,
    RegistryCredentials,
    RegistryImage,
    load_image,
    open_image,
    registry_auth,
    registry_blob,
    registry_client,
    registry_http,
)
from aioecrpublic.images import registry as registry_module
from tests.images.fake_registry import BASIC, USER, FakeRegistry
from tests.images.helpers import assert_holds, content, error_of, read_blob
from tests.support.oci import (
    JSON,
    OCI_INDEX,
    OCI_MANIFEST,
    LayoutBuilder,
    digest_of,
    encode,
    random_bytes,
    random_layer,
    write_image,
    write_index,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.oci import BuiltImage

CREDENTIALS = RegistryCredentials(username=USER[0], password=USER[1])


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - nobody's own configuration counts
def _no_docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no-docker-config"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - waiting is tested by itself
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_http, "_FIRST_DELAY", 0.001)


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return write_index(tmp_path / "layout", layer_size=50_000, attestations=True)


@pytest.fixture
async def registry(image: BuiltImage) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        registry.add(image)
        yield registry


@pytest.fixture
async def store(registry: FakeRegistry) -> AsyncIterator[FakeRegistry]:
    """Return another host that has the same blobs."""
    async with FakeRegistry() as store:
        store.blobs = registry.blobs
        yield store


def layer_of(image: BuiltImage) -> Descriptor:
    return Descriptor(media_type="a/b", digest=image.layers[0], size=50_000)


class TestReading:
    async def test_an_image_is_read_as_it_is(self, registry: FakeRegistry, image: BuiltImage) -> None:
        for reference in (registry.image, f"{registry.host}/team/app@{image.digest}"):
            async with RegistryImage(reference) as source:
                assert isinstance(source, ImageSource)
                await assert_holds(source, image)

    async def test_by_name(self, registry: FakeRegistry, image: BuiltImage) -> None:
        async with open_image(registry.image) as source:
            assert source.name == registry.image
            await assert_holds(source, image)

    async def test_each_thing_is_asked_for_once(self, registry: FakeRegistry, image: BuiltImage) -> None:
        async with RegistryImage(registry.image) as source:
            await assert_holds(source, image)
        assert len(registry.seen("/manifests/")) == len(image.manifests)
        for digest in image.layers:
            assert sorted(request.method for request in registry.seen(digest)) == ["GET", "HEAD"]
        for digest in image.configs:
            assert [request.method for request in registry.seen(digest)] == ["GET", "GET"]
        assert all(request.headers["Accept-Encoding"] == "identity" for request in registry.requests)

    async def test_ranges_in_any_order(self, registry: FakeRegistry, image: BuiltImage) -> None:
        data = registry.blobs[image.layers[0]]
        async with RegistryImage(registry.image) as source:
            blob = await source.open_blob(layer_of(image))
            assert blob.buffered
            for offset, length in [(0, 100), (100, 0), (100, 900), (40_000, 10_000), (50_000, 0), (7, 50)]:
                assert await blob.read(offset, length) == data[offset : offset + length]
            with pytest.raises(ValueError, match="not within 50000 bytes"):
                await blob.read(40_000, 10_001)
            await blob.close()
            with pytest.raises(ImageError, match="read after it was closed"):
                await blob.read(0, 1)
        ranges = [request.headers.get("Range") for request in registry.seen(image.layers[0])]
        assert ranges == [None, "bytes=40000-", "bytes=7-"]

    async def test_the_connection_is_used_again_after_a_blob(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        for chunked in (False, True):
            registry.behaviour.chunked = chunked
            registry.requests.clear()
            async with RegistryImage(registry.image) as source:
                for digest in image.layers:
                    await read_blob(
                        source, Descriptor(media_type="a/b", digest=digest, size=len(registry.blobs[digest]))
                    )
            assert len({id(request.transport) for request in registry.requests}) == 1

    async def test_only_the_length_asked_for_is_held(self, registry: FakeRegistry) -> None:
        data = random_bytes(48 * 1024 * 1024)
        registry.blobs[digest_of(data)] = data
        async with RegistryImage(registry.image) as source:
            blob = await source.open_blob(
                Descriptor(media_type="a/b", digest=digest_of(data), size=len(data))
            )
            await blob.read(0, 1000)
            tracemalloc.start()
            try:
                part = await blob.read(1000, 16 * 1024 * 1024)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert content(part) == data[1000 : 1000 + 16 * 1024 * 1024]
            # The part itself is in pages of its own. The server is in this process too: what it holds of its
            # own body is a few pieces.
            assert peak < 8 * 1024 * 1024
            await blob.close()

    async def test_your_own_session_is_used_and_left_open(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
            async with RegistryImage(registry.image, session=session) as source:
                await assert_holds(source, image)
            assert not session.closed
        assert all(request.headers["X-Mine"] == "yes" for request in registry.requests)

    async def test_a_session_that_cannot_be_used(self, registry: FakeRegistry) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp's, which goes with its version 4
            session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("someone", "secret"))
        async with session:
            error = await error_of(RegistryImage(registry.image, session=session))
            assert "session must have no auth of its own" in error
        async with aiohttp.ClientSession() as session:
            pass
        assert "the session is closed" in await error_of(RegistryImage(registry.image, session=session))
        assert not registry.requests

    @pytest.mark.parametrize(
        "reference", ["", "a b", "../../x", "a?b", "1.0#f", "//x/y", "\x00", "\ud800", "sha256:a"]
    )
    async def test_only_tags_and_digests_are_found(self, registry: FakeRegistry, reference: str) -> None:
        async with RegistryImage(registry.image) as source:
            with pytest.raises(ImageError, match="is not a valid tag or digest"):
                await source.find(reference)
        assert len(registry.requests) == 1

    async def test_closing_ends_everything(self, registry: FakeRegistry, image: BuiltImage) -> None:
        source = RegistryImage(registry.image)
        await source.open()
        blob = await source.open_blob(layer_of(image))
        await source.close()
        await source.close()
        with pytest.raises(ImageError, match="closed"):
            await blob.read(0, 1)
        with pytest.raises(ImageError, match="used after it was closed"):
            await source.open()

    async def test_cancelling_leaves_nothing_behind(self, registry: FakeRegistry, image: BuiltImage) -> None:
        for delay in (0, 0.001, 0.003, 0.01, 0.03):
            async with RegistryImage(registry.image) as source:
                task = asyncio.create_task(load_image(source))
                await asyncio.sleep(delay)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def test_platforms(self, registry: FakeRegistry, image: BuiltImage) -> None:
        async with RegistryImage(registry.image) as source:
            graph = await load_image(source, platforms=["linux/arm64"])
        assert graph.root.descriptor.digest == image.manifests[1]
        assert not registry.seen(image.manifests[0])


class TestBroken:
    async def test_a_broken_stream_is_taken_up_where_it_broke(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.cuts = [10_000, 0, 0, 20_000, 1]
        async with RegistryImage(registry.image) as source:
            assert await read_blob(source, layer_of(image), 50_000) == registry.blobs[image.layers[0]]
        ranges = [request.headers.get("Range") for request in registry.seen(image.layers[0])]
        assert ranges == [
            None,
            *["bytes=10000-"] * 3,
            "bytes=30000-",
            "bytes=30001-",
        ]

    async def test_without_ranges_the_beginning_is_read_again(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.ranges = False
        registry.behaviour.cuts = [10_000, 30_000]
        async with RegistryImage(registry.image) as source:
            assert await read_blob(source, layer_of(image)) == registry.blobs[image.layers[0]]

    async def test_a_stalled_stream_is_taken_up_again(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.stalls = True
        async with RegistryImage(registry.image, read_timeout=0.2) as source:
            assert await read_blob(source, layer_of(image)) == registry.blobs[image.layers[0]]

    async def test_no_progress_is_not_tried_for_ever(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.cuts = [10_000, *[0] * 100]
        async with RegistryImage(registry.image, max_attempts=3) as source:
            with pytest.raises(ImageError, match=rf"blob {image.layers[0]}: .* at byte 10000 \(3 attempts\)"):
                await read_blob(source, layer_of(image))
        assert len(registry.seen(image.layers[0])) == 3

    async def test_a_drop_at_a_time_is_not_followed_for_ever(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.cuts = [1] * 1000
        async with RegistryImage(registry.image) as source:
            with pytest.raises(ImageError, match="at byte 101"):
                await read_blob(source, layer_of(image))

    async def test_a_server_that_closes_what_is_read_slowly_is_followed(
        self, registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry_blob, "_MAX_RECONNECTS", 3)
        monkeypatch.setattr(registry_blob, "_WORTH_IT", 5_000)
        registry.behaviour.cuts = [5_000, 5_000, 100, 100, 5_000, 5_000, 100, 100, 5_000, 5_000]
        async with RegistryImage(registry.image) as source:
            assert await read_blob(source, layer_of(image)) == image.read(image.layers[0])
        assert not registry.behaviour.cuts

    @pytest.mark.parametrize(
        "content_range", ["bytes 11-49999/50000", "bytes 10-50000/*", "bytes 10-9/*", "bytes */50000", "11"]
    )
    async def test_another_range_than_asked_for_is_not_taken(
        self, registry: FakeRegistry, image: BuiltImage, content_range: str
    ) -> None:
        registry.behaviour.content_range = content_range
        async with RegistryImage(registry.image) as source:
            blob = await source.open_blob(layer_of(image))
            with pytest.raises(ImageError) as caught:
                await blob.read(10, 10)
            await blob.close()
        assert str(caught.value) == (
            f"{registry.image}: blob {image.layers[0]}: the bytes from 10 were asked for, and the registry "
            f"sends others: Content-Range is '{content_range}'"
        )
        assert len(registry.seen(image.layers[0])) == 2

    async def test_a_range_of_another_blob_is_not_taken(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.content_range = "bytes 10-50000/50001"
        async with RegistryImage(registry.image) as source:
            blob = await source.open_blob(layer_of(image))
            with pytest.raises(ImageError, match="has 50001 bytes, but its descriptor says 50000"):
                await blob.read(10, 10)
            await blob.close()

    @pytest.mark.parametrize("status", [200, 400, 416])
    async def test_a_range_gets_an_end_where_it_needs_one(
        self, registry: FakeRegistry, image: BuiltImage, status: int
    ) -> None:
        registry.behaviour.open_ranges = status
        registry.behaviour.cuts = [10_000, 10_000, 10_000] if status != 200 else [10_000, 10, 10_000, 10_000]
        async with RegistryImage(registry.image) as source:
            assert await read_blob(source, layer_of(image), 50_000) == registry.blobs[image.layers[0]]
        ranges = [request.headers.get("Range") for request in registry.seen(image.layers[0])]
        assert ranges == [
            None,
            "bytes=10000-",
            *[f"bytes={start}-49999" for start in (10_000, 20_000, 30_000)],
        ]

    async def test_a_range_that_is_refused_with_an_end_too_is_an_error(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.cuts = [10_000]
        async with RegistryImage(registry.image) as source:
            blob = await source.open_blob(layer_of(image))
            registry.behaviour.statuses = [416, 416]
            with pytest.raises(ImageError, match="416 Requested Range Not Satisfiable: try later"):
                await blob.read(0, 50_000)
            await blob.close()

    @pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
    async def test_passing_failures_are_waited_out(
        self, registry: FakeRegistry, image: BuiltImage, status: int
    ) -> None:
        registry.behaviour.statuses = [status, status]
        async with RegistryImage(registry.image) as source:
            registry.behaviour.statuses = [status, status]
            await assert_holds(source, image)

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (503, "503 Service Unavailable: try later"),
            (429, "429 Too Many Requests: try later"),
            (0, "Server disconnected"),
        ],
    )
    async def test_lasting_failures_are_an_error(
        self, registry: FakeRegistry, status: int, message: str
    ) -> None:
        registry.behaviour.statuses = [status] * 10
        assert await error_of(RegistryImage(registry.image, max_attempts=3)) == (
            f"{registry.image}: manifest 1.0: {message} (3 attempts)"
        )
        if status:  # when a connection is lost, aiohttp tries once more by itself
            assert len(registry.requests) == 3

    @pytest.fixture
    def slept(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Return how long was waited, instead of waiting."""
        waits: list[float] = []

        async def record(seconds: float) -> None:
            waits.append(seconds)
            await asyncio.sleep(0)

        monkeypatch.setattr(registry_http, "sleep", record)
        return waits

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7),
            (" 7 ", 7),
            ("Wed, 21 Oct 2015 07:28:30 GMT", 30),
            ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
            ("nonsense", 0),
            ("٣", 0),
        ],
    )
    async def test_retry_after_is_obeyed(
        self, registry: FakeRegistry, slept: list[float], header: str, seconds: int
    ) -> None:
        registry.behaviour.statuses = [429]
        registry.behaviour.retry_after = header
        registry.behaviour.date = "Wed, 21 Oct 2015 07:28:00 GMT"  # its clock counts, not ours
        async with RegistryImage(registry.image):
            assert [round(wait) for wait in slept] == [seconds]

    async def test_waiting_has_an_end(self, registry: FakeRegistry, slept: list[float]) -> None:
        registry.behaviour.statuses = [429] * 10
        registry.behaviour.retry_after = "50"
        assert await error_of(RegistryImage(registry.image)) == (
            f"{registry.image}: manifest 1.0: 429 Too Many Requests: try later "
            "(3 attempts, waited 100 s as asked for, not waiting 50 s more)"
        )
        assert slept == [50, 50]
        registry.behaviour.retry_after = "9" * 400
        assert "try later (1 attempts, not waiting 999999999999 s more)" in await error_of(
            RegistryImage(registry.image)
        )
        registry.behaviour.retry_after = "50"
        assert "try later (2 attempts, waited 50 s as asked for)" in await error_of(
            RegistryImage(registry.image, max_attempts=2)
        )

    async def test_nobody_there(self) -> None:
        async with FakeRegistry() as registry:
            image = registry.image
        assert "Cannot connect to host 127.0.0.1" in await error_of(RegistryImage(image, max_attempts=2))

    async def test_an_image_that_is_not_there(self, registry: FakeRegistry, image: BuiltImage) -> None:
        reference = f"docker://{registry.host}/team/app:2.0"
        assert await error_of(RegistryImage(reference)) == f"{reference}: no such image"
        del registry.manifests[image.manifests[0]]
        assert f"manifest {image.manifests[0]} is missing" in await error_of(RegistryImage(registry.image))

    async def test_a_blob_that_is_not_there(self, registry: FakeRegistry, image: BuiltImage) -> None:
        del registry.blobs[image.layers[0]]
        message = f"{registry.image}: blob {image.layers[0]} is missing"
        assert await error_of(RegistryImage(registry.image)) == message
        async with RegistryImage(registry.image) as source:
            with pytest.raises(ImageError, match=message):
                await source.open_blob(layer_of(image))

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("extra", [-1, 1])
    async def test_a_blob_of_another_size(
        self, registry: FakeRegistry, image: BuiltImage, *, chunked: bool, extra: int
    ) -> None:
        registry.behaviour.chunked = chunked
        data = registry.blobs[image.layers[0]]
        registry.blobs[image.layers[0]] = data[:-1] if extra < 0 else data + b"x"
        async with RegistryImage(registry.image, max_attempts=2) as source:
            with pytest.raises(ImageError) as caught:
                await read_blob(source, layer_of(image))
        expected = {
            (False, -1): "has 49999 bytes, but its descriptor says 50000",
            (False, 1): "has 50001 bytes, but its descriptor says 50000",
            (True, -1): "has 49999 bytes, but its descriptor says 50000",
            (True, 1): "the registry sends more than 50000 bytes",
        }
        assert expected[chunked, extra] in str(caught.value)
        if not chunked:
            assert "50000" in await error_of(RegistryImage(registry.image))

    @pytest.mark.parametrize("status", [400, 401, 403, 405, 429, 500, 503])
    async def test_heads_that_are_refused_prove_nothing_and_are_not_repeated(
        self, registry: FakeRegistry, image: BuiltImage, status: int
    ) -> None:
        registry.behaviour.head_status = status
        registry.behaviour.auth = "bearer"
        async with RegistryImage(registry.image) as source:
            await assert_holds(source, image)
        assert len([request for request in registry.requests if request.method == "HEAD"]) == 1
        assert len(registry.tokens) == 1

    async def test_a_head_that_is_refused_later_ends_the_asking(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        async with RegistryImage(registry.image) as source:
            await source.check_blob(layer_of(image))
            registry.behaviour.head_status = 403
            for _ in range(3):
                await source.check_blob(layer_of(image))
        assert len([request for request in registry.requests if request.method == "HEAD"]) == 2

    async def test_a_head_without_a_size_is_enough(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.chunked = True
        async with RegistryImage(registry.image) as source:
            await assert_holds(source, image)
        assert len([request for request in registry.requests if request.method == "HEAD"]) > 1


class TestLies:
    async def test_a_manifest_of_another_digest(self, registry: FakeRegistry, image: BuiltImage) -> None:
        raw, media_type = registry.manifests[image.manifests[0]]
        registry.manifests[image.manifests[0]] = (raw.replace(b"50000", b"50001"), media_type)
        assert f"manifest {image.manifests[0]}: the content has the digest" in await error_of(
            RegistryImage(registry.image)
        )
        reference = f"{registry.host}/team/app@{image.manifests[0]}"
        assert "the content has the digest" in await error_of(RegistryImage(reference))

    async def test_a_tag_of_another_digest_than_its_header(self, registry: FakeRegistry) -> None:
        registry.behaviour.headers = {"Docker-Content-Digest": "sha256:" + "0" * 64}
        assert "the content has the digest" in await error_of(RegistryImage(registry.image))

    async def test_a_manifest_too_large(self, registry: FakeRegistry) -> None:
        raw = b" " * (4 * 1024 * 1024 + 1)
        registry.manifests |= {"1.0": (raw, OCI_MANIFEST), digest_of(raw): (raw, OCI_MANIFEST)}
        assert await error_of(RegistryImage(registry.image)) == (
            f"{registry.image}: manifest 1.0: more than 4194304 bytes"
        )

    async def test_a_manifest_of_another_size_than_its_descriptor(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        size = len(image.read(image.manifests[0]))
        async with RegistryImage(registry.image) as source:
            for lie in (size - 1, size + 1):
                descriptor = Descriptor(media_type=OCI_MANIFEST, digest=image.manifests[0], size=lie)
                with pytest.raises(ImageError, match=r"more than \d+ bytes|but its descriptor says"):
                    await source.read_manifest(descriptor)

    async def test_schema_1(self, registry: FakeRegistry) -> None:
        media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
        raw = b'{"schemaVersion": 1, "fsLayers": []}'
        registry.manifests |= {"1.0": (raw, media_type), digest_of(raw): (raw, media_type)}
        assert "a Docker schema 1 manifest" in await error_of(RegistryImage(registry.image))

    async def test_media_types_said_in_other_ways(self, registry: FakeRegistry, image: BuiltImage) -> None:
        for stated in (f"{OCI_INDEX}; charset=utf-8", "application/json", "text/plain; charset=utf-8"):
            registry.behaviour.headers = {"Content-Type": stated}
            async with RegistryImage(registry.image) as source:
                assert (await source.open()).media_type == OCI_INDEX
        registry.behaviour.headers = {"Content-Type": OCI_MANIFEST}
        assert f"mediaType is '{OCI_INDEX}', but its descriptor says" in await error_of(
            RegistryImage(registry.image)
        )
        raw = b"{}"
        registry.manifests |= {"1.0": (raw, "x/y"), digest_of(raw): (raw, "x/y")}
        registry.behaviour.headers = {}
        assert "neither the registry nor the document says its media type" in await error_of(
            RegistryImage(registry.image)
        )

    async def test_content_encodings_are_not_undone(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.blobs[image.layers[0]] = gzip.compress(bytes(10_000_000))
        registry.behaviour.headers = {"Content-Encoding": "gzip"}
        message = "sent with Content-Encoding 'gzip', which was not asked for"
        assert message in await error_of(RegistryImage(registry.image))
        registry.behaviour.headers = {}
        async with RegistryImage(registry.image) as source:
            await source.open()
            registry.behaviour.headers = {"Content-Encoding": "gzip"}
            with pytest.raises(ImageError, match=message):
                await source.open_blob(layer_of(image))

    async def test_errors_are_shown_escaped_and_short(self, registry: FakeRegistry) -> None:
        registry.behaviour.statuses = [400]
        assert await error_of(RegistryImage(registry.image)) == (
            f"{registry.image}: manifest 1.0: 400 Bad Request: try later"
        )


class TestRedirects:
    @pytest.mark.parametrize("auth", ["basic", "bearer"])
    async def test_blob_stores_never_see_the_authorization(
        self, registry: FakeRegistry, store: FakeRegistry, image: BuiltImage, auth: str
    ) -> None:
        registry.behaviour.auth = auth
        registry.behaviour.blob_store = f"http://{store.host}"
        store.behaviour.cuts = [10_000, 10_000]
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await assert_holds(source, image)
        assert store.requests
        assert not [request for request in store.requests if "Authorization" in request.headers]
        assert [request for request in registry.seen("/blobs/") if "Authorization" in request.headers]

    async def test_the_registry_itself_still_does(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.auth = "basic"
        registry.behaviour.location = f"/store/{image.layers[0]}?X-Sig=a%2Fb%2B%3D&x=%20"
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await read_blob(source, layer_of(image))
        (request,) = registry.seen("/store/")
        assert request.headers["Authorization"] == BASIC

    async def test_not_even_when_the_way_leads_back(
        self, registry: FakeRegistry, store: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.auth = "basic"
        registry.behaviour.location = f"http://{store.host}/v2/team/app/blobs/{image.layers[0]}"
        store.behaviour.location = f"http://{registry.host}/store/{image.layers[0]}?X-Sig=a%2Fb%2B%3D&x=%20"
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await read_blob(source, layer_of(image))
        (request,) = registry.seen("/store/")
        assert "Authorization" not in request.headers

    async def test_another_registry_that_is_redirected_to_gets_a_token_of_its_own(
        self, registry: FakeRegistry, store: FakeRegistry, image: BuiltImage
    ) -> None:
        store.add(image)
        store.behaviour.auth = "bearer"
        registry.behaviour.auth = "basic"
        registry.behaviour.moved = f"http://{store.host}"
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await assert_holds(source, image)
        assert len(store.tokens) == 1
        assert not registry.seen("/token")
        sent = {request.headers.get("Authorization") for request in store.requests}
        assert sent == {None, f"Bearer {store.tokens[0]}"}
        (asked,) = store.seen("/token")
        assert "Authorization" not in asked.headers
        assert not [request for request in registry.requests if "Authorization" in request.headers]

    async def test_both_registries_may_ask_in_one_request(
        self, registry: FakeRegistry, store: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.auth = store.behaviour.auth = "bearer"
        registry.behaviour.location = f"http://{store.host}/v2/team/app/blobs/{image.layers[0]}"
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await read_blob(source, layer_of(image))
            registry.behaviour.tokens_refused = store.behaviour.tokens_refused = 1
            await read_blob(source, layer_of(image))
        assert [len(one.tokens) for one in (registry, store)] == [2, 2]
        assert {request.headers.get("Authorization") for request in store.seen("/token")} == {None}
        assert {request.headers.get("Authorization") for request in registry.seen("/token")} == {BASIC}
        known = {f"Bearer {token}" for token in store.tokens}
        assert {request.headers.get("Authorization") for request in store.seen("/blobs/")} == {None, *known}

    @pytest.mark.parametrize("auth", ["basic", "Negotiate", ""])
    async def test_others_may_not_ask_who_we_are(
        self, registry: FakeRegistry, store: FakeRegistry, image: BuiltImage, auth: str
    ) -> None:
        registry.behaviour.location = f"http://{store.host}/v2/team/app/blobs/{image.layers[0]}"
        store.behaviour.auth = auth
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            with pytest.raises(ImageError, match="401 Unauthorized"):
                await source.open_blob(layer_of(image))
        assert [request.headers.get("Authorization") for request in store.requests] == [None]

    async def test_only_some_registries_are_followed(
        self, registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry_client, "_MAX_OTHERS", 0)
        async with FakeRegistry() as other:
            other.behaviour.auth = "bearer"
            registry.behaviour.moved = f"http://{other.host}"
            assert "401 Unauthorized" in await error_of(RegistryImage(registry.image))
            assert not other.tokens

    @pytest.mark.parametrize(
        ("location", "message"),
        [
            ("/loop", "more than 5 redirects"),
            ("ftp://127.0.0.1/x", "redirected to something that is neither http nor https, which is not"),
            ("http://[", "redirected to something that is not a valid URL"),
            ("file:///etc/passwd", "not followed"),
            ("http://user:password@127.0.0.1/x", "redirected to a URL with a user name or password in it"),
        ],
    )
    async def test_redirects_that_lead_nowhere(
        self, registry: FakeRegistry, image: BuiltImage, location: str, message: str
    ) -> None:
        registry.behaviour.location = location
        async with RegistryImage(registry.image) as source:
            with pytest.raises(ImageError, match=message):
                await source.open_blob(layer_of(image))

    def test_https_is_not_left(self) -> None:
        url = yarl.URL("https://example.com/x")
        assert str(registry_http._redirected(url, "https://other.example/y?a=%2F")) == (
            "https://other.example/y?a=%2F"
        )
        with pytest.raises(ImageError, match="redirected to http from https, which is not followed"):
            registry_http._redirected(url, "http://example.com/x")


class TestIdentity:
    async def test_nothing_is_said_to_who_does_not_ask(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await assert_holds(source, image)
        assert not [request for request in registry.requests if "Authorization" in request.headers]

    @pytest.mark.parametrize("hidden", [401, 403, 404])
    @pytest.mark.parametrize("auth", ["basic", "bearer"])
    async def test_a_registry_that_hides_from_strangers_is_asked_how_to_identify(
        self, registry: FakeRegistry, image: BuiltImage, auth: str, hidden: int
    ) -> None:
        registry.behaviour.auth = auth
        registry.behaviour.hidden = hidden
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await assert_holds(source, image)
        assert len([request for request in registry.requests if request.path == "/v2/"]) == 1
        asked = [request for request in registry.requests if "Authorization" not in request.headers]
        assert len(asked) == 2, "once each"

    @pytest.mark.parametrize(
        ("hidden", "message"),
        [
            (401, "the registry asks for 'nothing', not for Bearer or Basic"),
            (403, "manifest 1.0: 403 Forbidden: not for strangers"),
            (404, "no such image"),
        ],
    )
    async def test_strangers_ask_no_further(self, registry: FakeRegistry, hidden: int, message: str) -> None:
        registry.behaviour.auth = "bearer"
        registry.behaviour.hidden = hidden
        assert message in await error_of(RegistryImage(registry.image, anonymous=True))
        assert len(registry.requests) == 1
        registry.behaviour.auth = "Negotiate"
        assert message in await error_of(RegistryImage(registry.image, credentials=CREDENTIALS))
        assert len(registry.requests) == 3

    async def test_what_is_missing_is_asked_for_once_where_strangers_may_read(
        self, registry: FakeRegistry, image: BuiltImage
    ) -> None:
        registry.behaviour.has_referrers = False
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            assert await source.cosign_tags(image.digest) == {}
            assert await source.referrers(image.digest) == ()
        assert not [request for request in registry.requests if request.path == "/v2/"]
        assert not [request for request in registry.requests if "Authorization" in request.headers]

    async def test_credentials_do_not_find_what_is_not_there(self, registry: FakeRegistry) -> None:
        registry.behaviour.auth = "basic"
        registry.behaviour.hidden = 404
        reference = f"docker://{registry.host}/team/app:2.0"
        assert await error_of(RegistryImage(reference, credentials=CREDENTIALS)) == (
            f"{reference}: no such image"
        )
        assert len(registry.requests) == 3

    async def test_basic(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.auth = "basic"
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            await assert_holds(source, image)
        without = [request for request in registry.requests if "Authorization" not in request.headers]
        assert len(without) == 1, "it is asked once"

    @pytest.mark.parametrize("credentials", [None, CREDENTIALS])
    async def test_bearer(
        self, registry: FakeRegistry, image: BuiltImage, credentials: RegistryCredentials | None
    ) -> None:
        registry.behaviour.auth = "bearer"
        async with RegistryImage(registry.image, credentials=credentials) as source:
            await assert_holds(source, image)
        (request,) = registry.seen("/token")
        assert request.headers.get("Authorization") == (BASIC if credentials else None)
        assert dict(request.query) == {"service": "fake", "scope": "repository:team/app:pull"}

    async def test_identity_tokens_are_exchanged(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.auth = "bearer"
        async with RegistryImage(
            registry.image, credentials=RegistryCredentials(identity_token="identity")
        ) as source:
            await assert_holds(source, image)
        (request,) = registry.seen("/token")
        assert request.method == "POST"
        registry.behaviour.auth = "basic"
        wrong = RegistryImage(registry.image, credentials=RegistryCredentials(identity_token="identity"))
        assert "asks for user name and password, and there are none" in await error_of(wrong)

    async def test_a_refused_token_is_renewed_once(self, registry: FakeRegistry, image: BuiltImage) -> None:
        registry.behaviour.auth = "bearer"
        async with RegistryImage(registry.image) as source:
            await source.open()
            registry.behaviour.tokens_refused = 1
            await assert_holds(source, image)
        assert len(registry.tokens) == 2

    async def test_a_token_is_renewed_before_it_expires(
        self, registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.behaviour.auth = "bearer"
        registry.behaviour.token_life = 1000
        now = [0.0]
        monkeypatch.setattr(registry_auth, "monotonic", lambda: now[-1])
        async with RegistryImage(registry.image) as source:
            for moment, tokens in ((0.0, 1), (890.0, 1), (901.0, 2)):
                now.append(moment)
                await source.check_blob(layer_of(image))
                assert len(registry.tokens) == tokens
        assert len([request for request in registry.requests if "Authorization" not in request.headers]) == 3

    @pytest.mark.parametrize("content", [None, "{"])
    async def test_a_configuration_that_was_named_is_sound_or_refused(
        self, content: str | None, registry: FakeRegistry, image: BuiltImage, tmp_path: Path
    ) -> None:
        config = tmp_path / "named.json"
        if content is not None:
            config.write_text(content)
        async with RegistryImage(registry.image) as source:
            await assert_holds(source, image)
        requests = len(registry.requests)
        with pytest.raises(ImageError, match=f"^{config}: "):
            await RegistryImage(registry.image, docker_config=config).open()
        assert len(registry.requests) == requests

    @pytest.mark.parametrize("auth", ["basic", "bearer"])
    async def test_credentials_that_have_expired_are_looked_for_again(
        self, auth: str, registry: FakeRegistry, image: BuiltImage, tmp_path: Path
    ) -> None:
        config = tmp_path / "config.json"

        def write(password: str) -> None:
            encoded = base64.b64encode(f"{USER[0]}:{password}".encode()).decode()
            config.write_text(json.dumps({"auths": {registry.host: {"auth": encoded}}}))

        registry.behaviour.auth = auth
        registry.behaviour.password = "first"
        write("first")
        async with RegistryImage(registry.image, docker_config=config) as source:
            await assert_holds(source, image)
            registry.behaviour.password = "second"
            registry.behaviour.tokens_refused = 1
            write("second")
            await read_blob(source, layer_of(image))
            registry.behaviour.password = "third"
            registry.behaviour.tokens_refused = 2
            with pytest.raises(ImageError, match=r"refuses the credentials|unknown password"):
                await source.open_blob(layer_of(image))

    @pytest.mark.parametrize(
        ("auth", "credentials", "message"),
        [
            ("basic", None, "the registry asks for user name and password, and there are none"),
            (
                "basic",
                RegistryCredentials(username="a", password="b"),
                "401 Unauthorized: authentication required",
            ),
            ("Negotiate", CREDENTIALS, "the registry asks for 'negotiate', not for Bearer or Basic"),
            ("", CREDENTIALS, "the registry asks for 'nothing'"),
            ('Bearer service="x"', CREDENTIALS, "the registry names no token service"),
            ('Bearer realm="::"', CREDENTIALS, "the registry names no token service: its realm is no URL"),
            ('Bearer realm="ftp://x/y"', CREDENTIALS, "the registry names no token service"),
            (
                'Bearer realm="http://a:b@x/y"',
                CREDENTIALS,
                "token service is a URL with a user name or password",
            ),
            ('Bearer realm="http://x/y",service="\u202e"', CREDENTIALS, "has no valid service"),
        ],
    )
    async def test_no_way_in(
        self, registry: FakeRegistry, auth: str, credentials: RegistryCredentials | None, message: str
    ) -> None:
        registry.behaviour.auth = auth
        error = await error_of(RegistryImage(registry.image, credentials=credentials))
        assert message in error
        assert "secret" not in error

    async def test_a_token_service_that_refuses_or_fails(self, registry: FakeRegistry) -> None:
        registry.behaviour.auth = "bearer"
        registry.behaviour.token_statuses = [401]
        service = f"token service http://{registry.host}"
        assert await error_of(RegistryImage(registry.image)) == (
            f"{registry.image}: {service}: 401 Unauthorized: no token for you"
        )
        registry.behaviour.token_statuses = [503, 503]
        async with RegistryImage(registry.image) as source:
            await source.open()
        registry.behaviour.tokens_refused = 100
        assert "401 Unauthorized: authentication required" in await error_of(RegistryImage(registry.image))

    async def test_secrets_are_in_no_repr_and_no_log(
        self, registry: FakeRegistry, image: BuiltImage, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "aioecrpublic")
        registry.behaviour.auth = "bearer"
        registry.behaviour.statuses = [503, 503]
        source = RegistryImage(registry.image, credentials=CREDENTIALS)
        async with source:
            await assert_holds(source, image)
            said = f"{caplog.text} {CREDENTIALS!r} {source!r} {vars(source)!r}"
        assert "503" in caplog.text
        for secret in ("secret", BASIC[6:], *registry.tokens):
            assert secret not in said


class TestReferrers:
    @pytest.fixture
    def signed(self, registry: FakeRegistry, tmp_path: Path) -> tuple[BuiltImage, BuiltImage]:
        builder = LayoutBuilder(tmp_path / "signed")
        image = builder.image([random_layer(10)])
        sbom = builder.artifact(image, b"sbom", "application/spdx+json")
        registry.add(image, "signed")
        registry.add(sbom, None)
        return image, sbom

    async def test_by_the_api(self, registry: FakeRegistry, signed: tuple[BuiltImage, BuiltImage]) -> None:
        image, sbom = signed
        other = {**sbom.descriptor, "digest": digest_of(b"x")}
        registry.referrers = [
            encode({"schemaVersion": 2, "manifests": [sbom.descriptor]}),
            encode({"schemaVersion": 2, "manifests": [sbom.descriptor, other]}),
        ]
        async with RegistryImage(f"{registry.host}/team/app:signed") as source:
            referrers = await source.referrers(image.digest)
            assert [referrer.digest for referrer in referrers] == [sbom.digest, digest_of(b"x")]
            assert referrers[0].artifact_type == "application/spdx+json"
            graph = await load_image(source, root=referrers[0])
        assert graph.root.raw == sbom.read(sbom.digest)

    async def test_by_the_fallback_tag(
        self, registry: FakeRegistry, signed: tuple[BuiltImage, BuiltImage]
    ) -> None:
        image, sbom = signed
        registry.behaviour.has_referrers = False
        async with RegistryImage(f"{registry.host}/team/app:signed") as source:
            assert await source.referrers(image.digest) == ()
            raw = encode({"schemaVersion": 2, "manifests": [sbom.descriptor]})
            found = (raw, OCI_INDEX)
            registry.manifests |= {image.digest.replace(":", "-"): found, digest_of(raw): found}
            (referrer,) = await source.referrers(image.digest)
        assert referrer.digest == sbom.digest

    async def test_cosign_tags(self, registry: FakeRegistry, signed: tuple[BuiltImage, BuiltImage]) -> None:
        image, sbom = signed
        tag = image.digest.replace(":", "-") + ".sig"
        registry.manifests[tag] = registry.manifests[sbom.digest]
        async with RegistryImage(f"{registry.host}/team/app:signed") as source:
            found = await source.cosign_tags(image.digest)
            assert {tag: descriptor.digest for tag, descriptor in found.items()} == {tag: sbom.digest}
            assert (await load_image(source, root=found[tag])).root.raw == sbom.read(sbom.digest)

    async def test_the_next_page_is_not_on_another_host(
        self, registry: FakeRegistry, image: BuiltImage, store: FakeRegistry
    ) -> None:
        registry.behaviour.auth = "basic"
        registry.referrers = [b'{"manifests": []}']
        registry.behaviour.headers = {"Link": f'<http://{store.host}/v2/x>; rel="next"'}
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            with pytest.raises(ImageError, match="refers to another host"):
                await source.referrers(image.digest)
        assert not store.requests
        registry.behaviour.headers = {"Link": f'</v2/team/app/referrers/{image.digest}>; rel="next"'}
        async with RegistryImage(registry.image, credentials=CREDENTIALS) as source:
            with pytest.raises(ImageError, match="more than 100 pages"):
                await source.referrers(image.digest)

    @pytest.mark.parametrize(
        ("link", "message"),
        [
            ('<http://[bad>; rel="next"', "refers to something that is not a valid URL"),
            ('<mailto:x>; rel="next"', "refers to something that is neither http nor https"),
            ('<//a:b@x/v2/>; rel="next"', "refers to a URL with a user name or password in it"),
            ('/v2/x; rel="next"', "not a valid Link header: no target in angle brackets"),
        ],
    )
    async def test_a_next_page_that_is_none(
        self, registry: FakeRegistry, image: BuiltImage, link: str, message: str
    ) -> None:
        registry.referrers = [b'{"manifests": []}']
        registry.behaviour.headers = {"Link": link}
        async with RegistryImage(registry.image) as source:
            with pytest.raises(ImageError) as caught:
                await source.referrers(image.digest)
        assert message in str(caught.value)

    async def test_they_are_counted_before_they_are_kept(
        self, registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def page(first: int, count: int) -> bytes:
            numbers = range(first, first + count)
            entries: list[JSON] = [
                {"mediaType": "a/b", "size": 1, "digest": f"sha256:{n:064x}"} for n in numbers
            ]
            return encode({"schemaVersion": 2, "manifests": entries})

        registry.referrers = [page(0, 600), page(600, 400)]
        async with RegistryImage(registry.image) as source:
            assert len(await source.referrers(image.digest)) == 1000
            registry.referrers = [page(0, 600), page(600, 401), b"never read"]
            with pytest.raises(ImageError, match="more than 1000 manifests"):
                await source.referrers(image.digest)
            assert len(registry.seen("/referrers/")) == 4
            monkeypatch.setattr(registry_module, "_MAX_LISTING", 100_000)
            registry.referrers = [page(0, 600), page(0, 600)]
            with pytest.raises(ImageError, match="more than 100000 bytes"):
                await source.referrers(image.digest)
            monkeypatch.setattr(registry_module, "_LISTING_TIME", 0.1)
            registry.behaviour.stalls = True
            with pytest.raises(ImageError, match=r"not all listed within 0\.1 s"):
                await source.referrers(image.digest)

    async def test_what_is_found_is_kept_within_bounds(
        self, registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry_module, "_MOST_KEPT", 2)
        async with RegistryImage(registry.image) as source:
            for digest in image.manifests:
                found = await source.find(digest)
                assert found is not None
                assert await source.read_manifest(found) == image.read(digest)
            assert len(source._manifests) == 2
            monkeypatch.setattr(registry_module, "_MAX_KEPT", 10)
            root = await source.find(image.digest)
            assert root is not None
            assert not source._manifests
            assert await source.read_manifest(root) == image.read(image.digest)


async def test_an_image_can_be_written_from_what_was_read(registry: FakeRegistry, tmp_path: Path) -> None:
    image = write_image(tmp_path / "other", docker=True, layers=3)
    registry.add(image, "docker")
    async with RegistryImage(f"docker://{registry.host}/team/app:docker") as source:
        graph = await load_image(source)
        for blob in graph.blobs:
            assert await read_blob(source, blob) == image.read(blob.digest)
        assert json.loads(graph.root.raw)["schemaVersion"] == 2


@pytest.mark.parametrize("name", ["max_attempts", "connect_timeout", "read_timeout"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf"), None])
def test_arguments_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ImageError, match=rf"^{name} must be a ") as caught:
        RegistryImage("app", **{name: value})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("reference", "insecure", "url"),
    [
        ("localhost:5000/a", None, "http://localhost:5000/v2/a/"),
        ("127.0.0.1/a", None, "http://127.0.0.1/v2/a/"),
        ("127.9.9.9:80/a", None, "http://127.9.9.9/v2/a/"),
        ("[::1]:5000/a", None, "http://[::1]:5000/v2/a/"),
        ("registry.localhost/a", None, "http://registry.localhost/v2/a/"),
        ("localhost:5000/a", False, "https://localhost:5000/v2/a/"),
        ("10.0.0.1:5000/a", None, "https://10.0.0.1:5000/v2/a/"),
        ("10.0.0.1:5000/a", True, "http://10.0.0.1:5000/v2/a/"),
        ("public.ecr.aws/x/y/z", None, "https://public.ecr.aws/v2/x/y/z/"),
        ("app", None, "https://registry-1.docker.io/v2/library/app/"),
        ("docker.io/team/app", None, "https://registry-1.docker.io/v2/team/app/"),
    ],
)
def test_urls(reference: str, insecure: bool | None, url: str) -> None:  # noqa: FBT001 - a table
    assert str(RegistryImage(reference, insecure=insecure)._base) == url


@pytest.mark.parametrize("scheme", ["http://", "//", ""])
async def test_proxies_of_the_environment_lead_to_other_machines(
    registry: FakeRegistry, image: BuiltImage, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    # What is sent to a proxy for plain http has the path of what is meant, so the registry can play both.
    monkeypatch.setenv("http_proxy", f"{scheme}{registry.host}")
    monkeypatch.setenv("no_proxy", "direct.test")
    async with RegistryImage("registry.test/team/app:1.0", insecure=True) as source:
        await assert_holds(source, image)
    assert {request.headers["Host"] for request in registry.requests} == {"registry.test"}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with RegistryImage(registry.image) as source:
        await assert_holds(source, image)
    with pytest.raises(ImageError, match=r"direct\.test"):
        await RegistryImage("direct.test/team/app:1.0", insecure=True, max_attempts=1).open()
