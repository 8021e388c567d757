"""Uncompressed layers are compressed on their way, and nothing else changes."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from typing import TYPE_CHECKING, Self

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aioecrpublic.images import DockerArchive, ImageError, OCILayout, load_image, open_image
from aioecrpublic.images import compressing as module
from aioecrpublic.images.compressing import CompressedImage
from aioecrpublic.images.layout import CONTAINERD_NAME
from tests.images.conftest import open_paths
from tests.images.helpers import assert_holds, edit, error_of, read_blob
from tests.support.oci import (
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Layer,
    LayoutBuilder,
    digest_of,
    encode,
    random_bytes,
    random_layer,
    tar_layer,
    tar_layout,
)
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.images import ImageGraph, ImageSource
    from tests.support.oci import BuiltImage, Document

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@pytest.fixture
def builder(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "layout")


def plain_layer(seed: int, media_type: str = OCI_LAYER) -> Layer:
    return tar_layer({f"file{seed}": random_bytes(3000, seed) + bytes(100_000)}, media_type)


def docker_save(builder: LayoutBuilder, image: BuiltImage, path: Path) -> Path:
    """Write the layout as Docker 25 and later save it: with a name, and a manifest.json beside."""
    builder.tag(image, "1.0", **{CONTAINERD_NAME: "docker.io/library/app:1.0"})
    (builder.directory / "manifest.json").write_bytes(b"[]")
    return tar_layout(builder.directory, path)


async def blobs_of(source: ImageSource, graph: ImageGraph) -> dict[str, bytes]:
    blobs = {blob.digest: await read_blob(source, blob, 100_000) for blob in graph.blobs}
    for digest, data in blobs.items():
        assert digest_of(data) == digest
    return blobs


def documents(graph: ImageGraph) -> list[Document]:
    for node in graph.manifests:
        assert digest_of(node.raw) == node.descriptor.digest
        assert len(node.raw) == node.descriptor.size
    return [json.loads(node.raw) for node in graph.manifests]


async def test_what_docker_saves_is_what_docker_would_push(builder: LayoutBuilder, tmp_path: Path) -> None:
    layers = [plain_layer(1), plain_layer(2), plain_layer(1)]
    image = builder.image(layers, annotations={"a": "é"}, x={"unknown": 1})
    path = docker_save(builder, image, tmp_path / "app.tar")
    async with DockerArchive(path, "app:1.0") as source:
        assert source.layers_compressed == 2
        graph = await load_image(source)
        blobs = await blobs_of(source, graph)
    (document,) = documents(graph)
    original = json.loads(image.read(image.digest))
    first, second = (digest for digest in blobs if digest != image.config)
    assert [gzip.decompress(blobs[digest]) for digest in (first, second)] == [
        layer.data for layer in layers[:2]
    ]
    assert blobs[image.config] == image.read(image.config)
    assert document == {
        **original,
        "layers": [
            {"mediaType": OCI_LAYER_GZIP, "digest": digest, "size": len(blobs[digest])}
            for digest in (first, second, first)
        ],
    }
    assert list(document) == list(original)
    assert graph.root.descriptor.annotations[CONTAINERD_NAME] == "docker.io/library/app:1.0"
    assert sum(map(len, blobs.values())) < 10_000


async def test_the_same_archive_gives_the_same_image(builder: LayoutBuilder, tmp_path: Path) -> None:
    path = docker_save(builder, builder.image([plain_layer(n) for n in range(3)]), tmp_path / "app.tar")
    roots = []
    for source in (DockerArchive(path), open_image(path), CompressedImage(OCILayout(builder.directory))):
        async with source:
            roots.append(await source.open())
    assert roots[0] == roots[1] == roots[2]


async def test_what_says_otherwise(builder: LayoutBuilder, tmp_path: Path) -> None:
    """The bytes of a layout or an OCI archive stay, those of a docker-archive on demand."""
    image = builder.image([plain_layer(1)])
    docker = docker_save(builder, image, tmp_path / "docker.tar")
    exact: list[ImageSource] = [
        DockerArchive(docker, compress=False),
        open_image(f"docker-archive:{docker}", compress=False),
        open_image(docker, compress=False),
        open_image(f"oci-archive:{docker}"),
        open_image(builder.directory),
    ]
    (builder.directory / "manifest.json").unlink()
    oci = tar_layout(builder.directory, tmp_path / "oci.tar")
    exact += [open_image(oci), open_image(oci, compress=False), open_image(f"oci-archive:{oci}")]
    for source in exact:
        async with source:
            await assert_holds(source, image)
    for compressed in (
        open_image(docker),
        open_image(f"docker-archive:{oci}"),
        open_image(oci, compress=True),
        open_image(f"oci-archive:{oci}", compress=True),
        open_image(f"oci:{builder.directory}", compress=True),
        open_image(OCILayout(builder.directory), compress=True),
        open_image(DockerArchive(docker), compress=True),
        open_image(DockerArchive(docker, compress=False), compress=True),
    ):
        async with compressed:
            (blob,) = (await load_image(compressed)).blobs[1:]
            assert blob.media_type == OCI_LAYER_GZIP
            assert compressed.layers_compressed == 1  # type: ignore[attr-defined]
    for by_itself in (DockerArchive(docker), open_image(docker)):
        with pytest.raises(ImageError, match="compresses layers by itself; make it with compress=False"):
            open_image(by_itself, compress=False)


async def test_only_uncompressed_layers_of_images_that_are_tar_files_change(builder: LayoutBuilder) -> None:
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    kept = [tar_layer({"a": b"gzip"}), random_layer(600, media_type=OCI_LAYER), plain_layer(3, foreign)]
    changed = [plain_layer(1), tar_layer({}, OCI_LAYER)]
    image = builder.image([*kept, *changed])
    builder.tag(image, "1.0")
    async with CompressedImage(OCILayout(builder.directory)) as source:
        assert source.layers_compressed == 2
        graph = await load_image(source, include_nondistributable=True)
        await blobs_of(source, graph)
    (document,) = documents(graph)
    layers = json.loads(image.read(image.digest))["layers"]
    assert document["layers"][:3] == layers[:3]  # type: ignore[index]
    assert [blob.media_type for blob in graph.blobs[4:]] == [OCI_LAYER_GZIP, OCI_LAYER_GZIP]


async def test_docker_types_become_docker_types(builder: LayoutBuilder) -> None:
    image = builder.image([plain_layer(1)], docker=True)
    raw = image.read(image.digest).replace(DOCKER_LAYER_GZIP.encode(), DOCKER_LAYER.encode())
    entry = builder.descriptor(raw, image.media_type)
    edit(builder.directory / "index.json", lambda index: index.update(manifests=[entry]))
    async with CompressedImage(OCILayout(builder.directory)) as source:
        graph = await load_image(source)
    assert [blob.media_type for blob in graph.blobs[1:]] == [DOCKER_LAYER_GZIP]
    assert graph.root.descriptor.media_type == image.media_type


async def test_files_of_artifacts_stay_as_they_are(builder: LayoutBuilder) -> None:
    """ORAS calls any file an uncompressed layer, and those who pull it want the file."""
    artifact = builder.image([plain_layer(1)])
    config = builder.descriptor(b"{}", "application/vnd.unknown.config.v1+json")
    raw = encode({**json.loads(artifact.read(artifact.digest)), "config": config})
    entry = builder.descriptor(raw, OCI_MANIFEST)
    edit(builder.directory / "index.json", lambda index: index.update(manifests=[entry]))
    async with CompressedImage(OCILayout(builder.directory)) as source:
        assert (await load_image(source)).root.raw == raw
        assert source.layers_compressed == 0


async def test_where_the_old_bytes_were_to_be_had_is_dropped(builder: LayoutBuilder) -> None:
    layer = plain_layer(1)
    image = builder.image([layer])
    described: Document = {
        **builder.descriptor(layer.data, OCI_LAYER),
        "urls": ["https://x.test/a"],
        "data": "AAAA",
        "annotations": {"k": "v"},
    }
    raw = encode({**json.loads(image.read(image.digest)), "layers": [described]})
    entry = builder.descriptor(raw, OCI_MANIFEST)
    edit(builder.directory / "index.json", lambda index: index.update(manifests=[entry]))
    async with CompressedImage(OCILayout(builder.directory)) as source:
        (changed,) = json.loads((await load_image(source)).root.raw)["layers"]
    assert set(changed) == {"mediaType", "digest", "size", "annotations"}


async def test_platforms_that_docker_does_not_have_do_not_matter_if_not_wanted(
    builder: LayoutBuilder, tmp_path: Path
) -> None:
    """Docker with containerd's image store saves the whole index, and of the images those that it has."""
    there = builder.image([tar_layer({"a": b"x"})])
    missing = builder.image([tar_layer({"b": b"y"})], platform="linux/arm64")
    index = builder.index([there, missing])
    missing.path(missing.digest).unlink()
    path = docker_save(builder, index, tmp_path / "app.tar")
    for source in (DockerArchive(path), open_image(path)):
        async with source:
            graph = await load_image(source, platforms=["linux/amd64"])
            assert graph.root.descriptor.digest == there.digest
            with pytest.raises(ImageError, match=f"{missing.digest} is missing"):
                await load_image(source)


class TestIndexes:
    async def test_platforms_and_annotations_are_kept(self, builder: LayoutBuilder) -> None:
        amd64 = builder.image([plain_layer(1), plain_layer(2)])
        arm64 = builder.image([plain_layer(1)], platform="linux/arm64/v8")
        packed = builder.image([tar_layer({"a": b"x"})], platform="linux/s390x")
        named = attrs.evolve(arm64, descriptor={**arm64.descriptor, "annotations": {"n": "1"}})
        inner = builder.index([named], annotations={"inner": "yes"})
        root = builder.tag(builder.index([amd64, inner, packed, amd64], annotations={"outer": "yes"}), "1.0")
        async with CompressedImage(OCILayout(builder.directory)) as source:
            assert source.layers_compressed == 2
            graph = await load_image(source)
            await blobs_of(source, graph)
            one = await load_image(source, platforms=["linux/arm64"])
        before, after = json.loads(root.read(root.digest)), json.loads(graph.root.raw)
        assert after["annotations"] == {"outer": "yes"}
        assert [entry.get("platform") for entry in after["manifests"]] == [
            entry.get("platform") for entry in before["manifests"]
        ]
        same = [old == new for old, new in zip(before["manifests"], after["manifests"], strict=True)]
        assert same == [False, False, True, False]
        assert after["manifests"][0] == after["manifests"][3]
        new_inner = next(node for node in graph.manifests if b'"inner"' in node.raw)
        (entry,) = json.loads(new_inner.raw)["manifests"]
        assert entry["annotations"] == {"n": "1"}
        assert entry["platform"] == {"os": "linux", "architecture": "arm64", "variant": "v8"}
        assert one.root.descriptor.digest == entry["digest"]

    async def test_only_the_platforms_that_are_wanted_are_compressed(self, builder: LayoutBuilder) -> None:
        images = [
            builder.image([plain_layer(number)], platform=f"linux/{name}")
            for number, name in enumerate(("amd64", "arm64", "s390x"))
        ]
        builder.tag(builder.index(images), "1.0")
        for platforms in (["linux/amd64"], ["linux/amd64", "linux/s390x"]):
            async with open_image(f"oci:{builder.directory}", compress=True, platforms=platforms) as source:
                graph = await load_image(source, platforms=platforms)
                assert source.layers_compressed == len(platforms)  # type: ignore[attr-defined]
                await blobs_of(source, graph)
            assert len(graph.blobs) == 2 * len(platforms)


class TestWhatIsReferredToStays:
    """A signature is about these very bytes."""

    async def test_by_an_attestation(self, builder: LayoutBuilder) -> None:
        attested = builder.image([plain_layer(1)])
        free = builder.image([plain_layer(1), plain_layer(2)], platform="linux/arm64")
        builder.tag(builder.index([attested, free, builder.attestation(attested)]), "1.0")
        async with CompressedImage(OCILayout(builder.directory)) as source:
            graph = await load_image(source)
            await blobs_of(source, graph)
            assert source.layers_compressed == 2
        assert attested.digest in graph.root.children
        assert free.digest not in graph.root.children
        async with CompressedImage(OCILayout(builder.directory), platforms=["linux/amd64"]) as source:
            # The attestation is not part of what is left.
            assert (await source.open()).digest != attested.digest

    @pytest.mark.parametrize("which", ["image", "index"])
    @pytest.mark.parametrize("how", ["subject", "fallback", "cosign"])
    async def test_by_what_is_attached(self, builder: LayoutBuilder, which: str, how: str) -> None:
        image = builder.image([plain_layer(1)])
        other = builder.image([plain_layer(2)], platform="linux/arm64")
        index = builder.index([image, other])
        root = builder.tag(index, "1.0")
        subject = image if which == "image" else index
        signature = builder.artifact(subject, b"signature", "application/example")
        stem = subject.digest.replace(":", "-")
        if how == "fallback":
            signature = builder.index([signature])
        builder.tag(signature, {"subject": "sig", "fallback": stem, "cosign": f"{stem}.sig"}[how])
        async with CompressedImage(OCILayout(builder.directory, "1.0")) as source:
            graph = await load_image(source)
            attached = [*await source.referrers(subject.digest), *await source.cosign_tags(subject.digest)]
        assert attached
        if which == "index":
            assert graph.root.descriptor.digest == root.digest
            assert source.layers_compressed == 0
        else:
            assert image.digest in graph.root.children
            assert other.digest not in graph.root.children
            assert source.layers_compressed == 1

    async def test_a_source_that_knows_of_nothing_attached(self, builder: LayoutBuilder) -> None:
        builder.tag(builder.image([plain_layer(1)]), "1.0")
        layout = OCILayout(builder.directory)

        class Plain:
            """Only what every source has."""

            name = "plain"
            open, close = layout.open, layout.close
            read_manifest, open_blob, check_blob = layout.read_manifest, layout.open_blob, layout.check_blob

            async def __aenter__(self) -> Self:
                await layout.__aenter__()
                return self

            async def __aexit__(self, *error: object) -> None:
                await layout.close()

        async with CompressedImage(Plain()) as source:
            digest = (await load_image(source)).root.descriptor.digest
            assert source.layers_compressed == 1
            assert source.own_tag is None
            with pytest.raises(ImageError, match="plain: Plain cannot list what is attached to its image"):
                await source.referrers(digest)


async def test_a_layer_of_another_content(builder: LayoutBuilder) -> None:
    layer = plain_layer(1)
    image = builder.tag(builder.image([layer]), "1.0")
    data = bytearray(layer.data)
    data[1000] ^= 1
    image.path(layer.digest).write_bytes(data)
    assert await error_of(CompressedImage(OCILayout(builder.directory))) == (
        f"oci:{builder.directory}: layer {layer.digest}: the content has the digest "
        f"{digest_of(bytes(data))}, not {layer.digest}"
    )


async def test_it_is_opened_and_closed_with_its_source(builder: LayoutBuilder) -> None:
    builder.tag(builder.image([plain_layer(1)]), "1.0")
    before = open_paths()
    own = OCILayout(builder.directory)
    async with CompressedImage(own) as source:
        graph = await load_image(source)
        blob = await source.open_blob(graph.blobs[1])
        reader = await blob.read(0, 10)
        await blob.close()
    with pytest.raises(ImageError, match="closed"):
        reader.read_at(0, 10)  # type: ignore[union-attr]
    with pytest.raises(ImageError, match="used after it was closed"):
        await source.open()
    with pytest.raises(ImageError, match="used after it was closed"):
        await own.open()
    async with OCILayout(builder.directory) as lent:
        async with CompressedImage(lent) as source:
            await source.open()
        await lent.open()
        await load_image(lent)
    assert open_paths() == before


async def test_nothing_is_left_of_a_cancelled_one(
    builder: LayoutBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.tag(builder.image([plain_layer(number) for number in range(4)]), "1.0")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(module, "_READ_AT_ONCE", 10_000)
    before = open_paths()
    for delay in range(0, 300, 23):
        source = CompressedImage(OCILayout(builder.directory))
        task = asyncio.create_task(source.open())
        for _ in range(delay):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.wait([task])
        await source.close()
    for _ in range(1000):
        if open_paths() == before:
            break
        await asyncio.sleep(0.01)
    assert open_paths() == before


LAYERS = [plain_layer(0), plain_layer(1), tar_layer({"a": b"x"}), random_layer(700, media_type=OCI_LAYER)]


@st.composite
def images(draw: st.DrawFn, builder: LayoutBuilder) -> BuiltImage:
    """An image or an index of images and attestations, nested or not."""
    built = [
        builder.image(
            [LAYERS[number] for number in draw(st.lists(st.integers(0, 3), max_size=3))],
            platform=f"linux/a{count}",
        )
        for count in range(draw(st.integers(1, 4)))
    ]
    for _ in range(draw(st.integers(0, 3))):
        count = draw(st.integers(1, len(built)))
        children = built[:count]
        if draw(st.booleans()):
            children.append(builder.attestation(draw(st.sampled_from(children))))
        built = [*built[count:], builder.index(children)]
    return builder.tag(built[0] if len(built) == 1 else builder.index(built), "1.0")


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=1000 if SOAK else 50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_unpacked_it_is_the_same_image(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever the image: its configs, its layers' content, its platforms and its shape are as before."""
    builder = LayoutBuilder(tmp_path_factory.mktemp("layout"))
    image = data.draw(images(builder))

    async def shape(source: ImageSource) -> tuple[object, set[str]]:
        async with source:
            graph = await load_image(source)
            blobs = await blobs_of(source, graph)
        nodes = {node.descriptor.digest: json.loads(node.raw) for node in graph.manifests}
        unpacked = {
            digest: digest_of(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
            for digest, data in blobs.items()
        }

        def of(digest: str) -> object:
            document = nodes[digest]
            if "manifests" in document:
                return [(entry.get("platform"), of(entry["digest"])) for entry in document["manifests"]]
            return [document["config"], *(unpacked[layer["digest"]] for layer in document["layers"])]

        attested = {
            entry["annotations"]["vnd.docker.reference.digest"]
            for document in nodes.values()
            for entry in document.get("manifests", ())
            if "annotations" in entry
        }
        assert attested <= nodes.keys()
        return of(graph.root.descriptor.digest), set(blobs)

    before, _ = asyncio.run(shape(OCILayout(image.directory, "1.0")))
    after, _ = asyncio.run(shape(CompressedImage(OCILayout(image.directory, "1.0"))))
    assert before == after
