from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic.images import ImageError, OCILayout, load_image
from aioecrpublic.images import graph as graph_module
from tests.images.helpers import assert_holds, edit, error_of, first_entry
from tests.support.oci import (
    DOCKER_LIST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Layer,
    LayoutBuilder,
    digest_of,
    encode,
    random_bytes,
    random_layer,
    write_image,
    write_index,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oci import BuiltImage, Document

ARM: Document = {"os": "linux", "architecture": "arm"}
FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.fixture
def builder(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "layout")


def set_root(builder: LayoutBuilder, raw: bytes, media_type: str = OCI_MANIFEST) -> str:
    """Make any bytes the layout's only image; return their digest."""
    descriptor = builder.descriptor(raw, media_type)
    edit(builder.directory / "index.json", lambda index: index.update(manifests=[descriptor]))
    return str(descriptor["digest"])


async def load_error(builder: LayoutBuilder) -> str:
    return await error_of(OCILayout(builder.directory))


def manifest_of(builder: LayoutBuilder, **members: object) -> bytes:
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": builder.descriptor(b"{}", OCI_CONFIG),
        "layers": [builder.descriptor(b"layer", OCI_LAYER_GZIP)],
        **members,
    }
    return json.dumps(manifest).encode()


def reseal(builder: LayoutBuilder, image: BuiltImage, **members: object) -> BuiltImage:
    """Change members of an image's manifest, and make it the layout's only image."""
    raw = json.dumps({**json.loads(image.read(image.digest)), **members}).encode()
    digest = set_root(builder, raw, image.media_type)
    descriptor = {**image.descriptor, "digest": digest, "size": len(raw)}
    return attrs.evolve(image, digest=digest, manifests=(digest,), descriptor=descriptor)


def windows(version: str) -> Document:
    return {"os": "windows", "architecture": "amd64", "os.version": version, "os.features": ["win32k"]}


async def test_shared_content_occurs_once(builder: LayoutBuilder) -> None:
    shared, own = random_layer(100, 1), random_layer(100, 2)
    first = builder.image([shared, shared, own])
    second = builder.image([own, shared], platform="linux/arm64")
    inner = builder.index([first])
    root = builder.tag(builder.index([first, second, inner, first]), "1.0")
    async with OCILayout(builder.directory) as source:
        graph = await assert_holds(source, root)
    assert [node.descriptor.digest for node in graph.manifests] == [
        first.digest,
        second.digest,
        inner.digest,
        root.digest,
    ]
    assert [blob.digest for blob in graph.blobs] == [first.config, shared.digest, own.digest, second.config]
    assert [blob.digest for blob in graph.manifests[1].blobs] == [second.config, own.digest, shared.digest]
    assert graph.root.children == (first.digest, second.digest, inner.digest)


async def test_children_come_before_parents_whatever_the_nesting(builder: LayoutBuilder) -> None:
    leaf = builder.image([random_layer(1)])
    middle = builder.index([builder.index([leaf])])
    root = builder.tag(builder.index([middle, leaf, builder.index([middle])]), "1.0")
    async with OCILayout(builder.directory) as source:
        graph = await load_image(source)
    done: set[str] = set()
    for node in graph.manifests:
        assert set(node.children) <= done
        done.add(node.descriptor.digest)
    assert graph.root.descriptor.digest == root.digest


async def test_subject_and_artifact_type_pass_through(builder: LayoutBuilder) -> None:
    image = builder.image([random_layer(10)])
    artifact = builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), "sbom")
    async with OCILayout(builder.directory) as source:
        graph = await assert_holds(source, artifact)
    document = json.loads(graph.root.raw)
    assert document["subject"]["digest"] == image.digest
    assert document["artifactType"] == "application/spdx+json"
    assert graph.root.descriptor.artifact_type == "application/spdx+json"


async def test_nondistributable_layers_are_skipped_unless_asked_for(builder: LayoutBuilder) -> None:
    """Only the media type makes a layer one: an ordinary one that may be had elsewhere too is taken."""
    normal = builder.descriptor(b"normal", OCI_LAYER_GZIP)
    foreign = builder.descriptor(b"foreign", FOREIGN_GZIP)
    linked = builder.descriptor(b"linked", OCI_LAYER_GZIP, urls=["https://example.com/layer"])
    raw = manifest_of(builder, layers=[normal, foreign, linked])
    set_root(builder, raw)
    async with OCILayout(builder.directory) as source:
        without = await load_image(source)
        complete = await load_image(source, include_nondistributable=True)
    assert [blob.digest for blob in without.blobs[1:]] == [normal["digest"], linked["digest"]]
    assert [blob.digest for blob in complete.blobs[1:]] == [
        normal["digest"],
        foreign["digest"],
        linked["digest"],
    ]
    assert without.root.raw == complete.root.raw == raw
    (builder.directory / "blobs/sha256" / digest_of(b"foreign")[7:]).unlink()
    async with OCILayout(builder.directory) as source:
        await load_image(source)
        with pytest.raises(ImageError, match="is missing"):
            await load_image(source, include_nondistributable=True)


async def test_a_layer_that_may_be_had_elsewhere_is_not_missing_for_that(builder: LayoutBuilder) -> None:
    linked = builder.descriptor(b"linked", OCI_LAYER_GZIP, urls=["https://example.com/layer"])
    set_root(builder, manifest_of(builder, layers=[linked]))
    (builder.directory / "blobs/sha256" / digest_of(b"linked")[7:]).unlink()
    assert f"blob {digest_of(b'linked')} is missing" in await load_error(builder)


async def test_an_image_without_layers_is_an_image(builder: LayoutBuilder) -> None:
    empty: tuple[list[object] | None, ...] = ([], None)
    for layers in empty:
        set_root(builder, manifest_of(builder, layers=layers))
        async with OCILayout(builder.directory) as source:
            graph = await load_image(source)
        assert [blob.digest for blob in graph.blobs] == [digest_of(b"{}")]


class TestRefused:
    @pytest.mark.parametrize("what", ["layers", "config"])
    async def test_an_empty_blob(self, builder: LayoutBuilder, what: str) -> None:
        empty = builder.descriptor(b"", OCI_LAYER_GZIP)
        digest = set_root(builder, manifest_of(builder, **{what: empty if what == "config" else [empty]}))
        assert await load_error(builder) == (
            f"oci:{builder.directory}: manifest {digest}: blob {digest_of(b'')} is empty; "
            "ECR Public cannot store an empty layer"
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"schemaVersion": 1}, "a Docker schema 1 manifest, which is not supported"),
            ({"schemaVersion": 3}, "schemaVersion is not 2"),
            ({"schemaVersion": "2"}, "schemaVersion is the text '2'"),
            ({"schemaVersion": None}, "schemaVersion is missing"),
            (
                {"mediaType": DOCKER_LIST},
                f"mediaType is '{DOCKER_LIST}', but its descriptor says {OCI_MANIFEST}",
            ),
            ({"mediaType": 1}, "mediaType is a number"),
            ({"config": None}, "config is missing, not an object"),
            ({"config": {}}, "config: size is missing"),
            ({"layers": {}}, "layers is an object, not a list"),
            ({"layers": [{}]}, "layers[0]: size is missing"),
            ({"layers": [1] * 10_001}, "10001 layers, more than 10000"),
            ({"manifests": []}, "an image manifest may not have the member manifests"),
            ({"fsLayers": []}, "an image manifest may not have the member fsLayers"),
            ({"subject": 1}, "subject is a number, not an object"),
            ({"subject": {"mediaType": "a/b", "size": 1}}, "subject: digest: None is no digest"),
            ({"artifactType": 1}, "artifactType is a number"),
            ({"annotations": {"a": []}}, "annotations holds a value that is not text"),
        ],
    )
    async def test_a_bad_manifest(self, builder: LayoutBuilder, change: Document, message: str) -> None:
        digest = set_root(builder, manifest_of(builder, **change))
        error = await load_error(builder)
        assert error.startswith(f"oci:{builder.directory}: manifest {digest}: ")
        assert message in error

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"manifests": 1}, "manifests is a number, not a list"),
            ({"manifests": ["x"]}, "manifests[0] is the text 'x', not an object"),
            ({"config": None}, "an index may not have the member config"),
            ({"layers": []}, "an index may not have the member layers"),
            ({"mediaType": OCI_MANIFEST}, "but its descriptor says"),
        ],
    )
    async def test_a_bad_index(self, builder: LayoutBuilder, change: Document, message: str) -> None:
        document: Document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], **change}
        digest = set_root(builder, encode(document), OCI_INDEX)
        error = await load_error(builder)
        assert error.startswith(f"oci:{builder.directory}: index {digest}: ")
        assert message in error

    @pytest.mark.parametrize(
        ("media_type", "message"),
        [
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", "a Docker schema 1 manifest"),
            ("application/vnd.docker.distribution.manifest.v1+json", "a Docker schema 1 manifest"),
            ("text/plain", "the media type 'text/plain' is no image manifest and no index"),
            (OCI_LAYER_GZIP, "is no image manifest and no index"),
        ],
    )
    async def test_another_kind_of_root_or_child(
        self, builder: LayoutBuilder, media_type: str, message: str
    ) -> None:
        set_root(builder, b"x", media_type)
        assert message in await load_error(builder)
        child = builder.descriptor(b"x", media_type)
        set_root(builder, encode({"schemaVersion": 2, "manifests": [child]}), OCI_INDEX)
        assert message in await load_error(builder)

    async def test_one_digest_of_two_sizes(self, builder: LayoutBuilder) -> None:
        layer = builder.descriptor(b"layer", OCI_LAYER_GZIP)
        digest = set_root(builder, manifest_of(builder, layers=[layer, {**layer, "size": 6}]))
        assert await load_error(builder) == (
            f"oci:{builder.directory}: manifest {digest}: blob {digest_of(b'layer')} "
            "is described both as 5 and as 6 bytes"
        )

    async def test_one_manifest_of_two_kinds(self, builder: LayoutBuilder) -> None:
        image = builder.image([random_layer(10)])
        nameless = builder.descriptor(
            image.read(image.digest).replace(f'"mediaType":"{OCI_MANIFEST}",'.encode(), b"", 1), OCI_MANIFEST
        )
        docker = {**nameless, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
        set_root(builder, encode({"schemaVersion": 2, "manifests": [nameless, docker]}), OCI_INDEX)
        assert "described both as" in await load_error(builder)

    async def test_one_blob_of_two_media_types_is_fine(self, builder: LayoutBuilder) -> None:
        layer = builder.descriptor(b"layer", OCI_LAYER_GZIP)
        other = {**layer, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}
        set_root(builder, manifest_of(builder, layers=[layer, other]))
        async with OCILayout(builder.directory) as source:
            assert len((await load_image(source)).blobs) == 2


class TestBounds:
    async def test_depth(self, builder: LayoutBuilder) -> None:
        image = builder.image([random_layer(1)])
        for _ in range(7):
            image = builder.index([image])
        builder.tag(image, "1.0")
        async with OCILayout(builder.directory) as source:
            await assert_holds(source, image)
        for _ in range(1000):
            image = builder.index([image])
        builder.tag(image, "1.0")
        assert "more than 8 levels of manifests" in await load_error(builder)

    async def test_number_of_manifests(self, builder: LayoutBuilder) -> None:
        layer = random_layer(1)
        images = [builder.image([layer], annotations={"n": str(number)}) for number in range(1000)]
        builder.tag(builder.index(images), "1.0")
        assert "more than 1000 manifests in one image" in await load_error(builder)
        builder.tag(builder.index(images[:999]), "1.0")
        async with OCILayout(builder.directory) as source:
            assert len((await load_image(source)).manifests) == 1000

    async def test_bytes_of_manifests(self, builder: LayoutBuilder) -> None:
        images = [builder.image([], annotations={"n": str(n) + "x" * 4_000_000}) for n in range(9)]
        builder.tag(builder.index(images), "1.0")
        assert "more than 33554432 bytes of manifests in one image" in await load_error(builder)

    async def test_number_of_blobs(self, builder: LayoutBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(graph_module, "MAX_BLOBS", 3)
        builder.tag(builder.image([random_layer(1, seed) for seed in range(2)]), "1.0")
        async with OCILayout(builder.directory) as source:
            await load_image(source)
        builder.tag(builder.image([random_layer(1, seed) for seed in range(3)]), "1.0")
        assert "more than 3 blobs" in await load_error(builder)


class TestPlatforms:
    @pytest.fixture
    def image(self, builder: LayoutBuilder) -> BuiltImage:
        return write_index(
            builder.directory,
            platforms=["linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7"],
            attestations=True,
        )

    async def test_one_platform_is_an_image_of_its_own(self, image: BuiltImage) -> None:
        async with OCILayout(image.directory) as source:
            for platform, number in {"linux/amd64": 0, "linux/arm64": 1, "linux/arm/v6": 2}.items():
                graph = await load_image(source, platforms=[platform])
                assert graph.manifests == (graph.root,)
                assert graph.root.raw == image.read(image.manifests[number])
                assert len(graph.blobs) == 3

    @pytest.mark.parametrize(
        "platforms", [["linux/arm64", "linux/amd64"], ["linux/amd64", "linux/arm64/v8"] * 2]
    )
    async def test_several_platforms_are_an_index_of_them(
        self, image: BuiltImage, platforms: list[str]
    ) -> None:
        async with OCILayout(image.directory) as source:
            graph = await load_image(source, platforms=platforms)
        original = json.loads(image.read(image.digest))
        filtered = json.loads(graph.root.raw)
        kept = [original["manifests"][number] for number in (0, 1, 4, 5)]
        assert filtered == {**original, "manifests": kept}
        assert list(graph.root.children) == [entry["digest"] for entry in kept]
        assert graph.root.descriptor.digest == digest_of(graph.root.raw)
        assert graph.root.descriptor.size == len(graph.root.raw)
        assert graph.root.descriptor.media_type == image.media_type
        for node in graph.manifests[:-1]:
            assert node.raw == image.read(node.descriptor.digest)

    async def test_a_platform_without_a_variant_takes_all_its_variants(self, image: BuiltImage) -> None:
        async with OCILayout(image.directory) as source:
            graph = await load_image(source, platforms=["linux/arm"])
        assert set(graph.root.children) == {image.manifests[number] for number in (2, 3, 6, 7)}

    async def test_all_platforms_are_the_original(self, image: BuiltImage) -> None:
        async with OCILayout(image.directory) as source:
            graph = await load_image(source, platforms=["linux/arm", "linux/amd64", "linux/arm64"])
        assert graph.root.raw == image.read(image.digest)

    async def test_a_platform_that_is_not_there(self, image: BuiltImage) -> None:
        async with OCILayout(image.directory) as source:
            with pytest.raises(ImageError) as caught:
                await load_image(source, platforms=["linux/amd64", "linux/s390x"])
            assert str(caught.value) == (
                f"oci:{image.directory}: no image for linux/s390x; there are "
                "linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64/v8"
            )
            with pytest.raises(ImageError, match="the list of platforms is empty"):
                await load_image(source, platforms=[])
            with pytest.raises(ImageError, match="platform 'amd64': expected OS/ARCHITECTURE"):
                await load_image(source, platforms=["amd64"])

    async def test_a_missing_platform_does_not_matter_if_it_is_not_asked_for(self, image: BuiltImage) -> None:
        image.path(image.manifests[1]).unlink()
        async with OCILayout(image.directory) as source:
            await load_image(source, platforms=["linux/amd64", "linux/arm"])
            with pytest.raises(ImageError, match="is missing"):
                await load_image(source)

    async def test_platforms_of_an_image_are_shown_in_characters_of_every_terminal(
        self, builder: LayoutBuilder
    ) -> None:
        images = [
            builder.image([random_layer(1)], platform=name)
            for name in ("linux/\ud800", "linux/\x1b[2J", *(f"linux/other{number}" for number in range(30)))
        ]
        builder.tag(builder.index(images), "1.0")
        async with OCILayout(builder.directory) as source:
            with pytest.raises(ImageError) as caught:
                await load_image(source, platforms=["linux/amd64"])
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()
        assert r"there are linux/\x1b[2J, linux/other0," in str(caught.value)
        assert str(caught.value).endswith("and 12 more")

    async def test_an_image_manifest_is_checked_by_its_config(self, tmp_path: Path) -> None:
        image = write_image(tmp_path / "single", platform="linux/arm64/v8")
        edit(
            tmp_path / "single" / "index.json",
            lambda index: index.update(
                manifests=[{k: v for k, v in image.descriptor.items() if k != "platform"}]
            ),
        )
        async with OCILayout(image.directory) as source:
            graph = await load_image(source, platforms=["linux/arm64"])
            assert graph.root.raw == image.read(image.digest)
            with pytest.raises(ImageError, match="no image for linux/amd64; there are linux/arm64/v8"):
                await load_image(source, platforms=["linux/amd64"])

    async def test_entries_that_do_not_say_their_platform(self, builder: LayoutBuilder) -> None:
        images = [builder.image([random_layer(1)], platform=name) for name in ("linux/amd64", "linux/arm64")]
        silent = [
            attrs.evolve(image, descriptor={k: v for k, v in image.descriptor.items() if k != "platform"})
            for image in images
        ]
        builder.tag(builder.index(silent), "1.0")
        async with OCILayout(builder.directory) as source:
            graph = await load_image(source, platforms=["linux/arm64"])
        assert graph.root.descriptor.digest == images[1].digest

    async def test_images_of_indexes_within_the_index(self, builder: LayoutBuilder) -> None:
        amd64 = builder.image([random_layer(1)])
        arm64 = builder.image([random_layer(2)], platform="linux/arm64")
        s390x = builder.image([random_layer(3)], platform="linux/s390x")
        builder.tag(builder.index([builder.index([amd64, arm64]), s390x]), "1.0")
        async with OCILayout(builder.directory) as source:
            one = await load_image(source, platforms=["linux/arm64"])
            assert one.root.descriptor.digest == arm64.digest
            two = await load_image(source, platforms=["linux/arm64", "linux/s390x"])
            assert two.root.children == (arm64.digest, s390x.digest)
            three = await load_image(source, platforms=["linux/amd64", "linux/arm64", "linux/s390x"])
            assert three.root.children == (amd64.digest, arm64.digest, s390x.digest)

    async def test_one_image_for_several_platforms(self, builder: LayoutBuilder) -> None:
        """An entry is chosen by its platform: another one of the same digest must not hide it."""
        image = builder.image([random_layer(1)], platform="linux/arm")
        other = builder.image([random_layer(2)], platform="linux/arm64")
        entries = [
            attrs.evolve(image, descriptor={**image.descriptor, "platform": {**ARM, "variant": variant}})
            for variant in ("v6", "v7", "v8")
        ]
        attestation = builder.attestation(image)
        builder.tag(builder.index([*entries, other, attestation]), "1.0")
        async with OCILayout(builder.directory) as source:
            for variant in ("v6", "v7", "v8"):
                one = await load_image(source, platforms=[f"linux/arm/{variant}"])
                assert one.root.descriptor.digest == image.digest
            two = await load_image(source, platforms=["linux/arm/v8", "linux/arm/v6"])
            every = await load_image(source, platforms=["linux/arm", "linux/arm64"])
            whole = await load_image(source)
            with pytest.raises(ImageError, match="linux/arm/v6, linux/arm/v7, linux/arm/v8, linux/arm64"):
                await load_image(source, platforms=["linux/arm/v5"])
        kept = [entries[0].descriptor, entries[2].descriptor, attestation.descriptor]
        assert json.loads(two.root.raw)["manifests"] == kept
        assert two.root.children == (image.digest, attestation.digest)
        assert every.root.raw == whole.root.raw

    async def test_an_entry_that_is_there_twice_is_one_image(self, builder: LayoutBuilder) -> None:
        image = builder.image([random_layer(1)])
        builder.tag(builder.index([image, image]), "1.0")
        async with OCILayout(builder.directory) as source:
            graph = await load_image(source, platforms=["linux/amd64"])
        assert graph.root.descriptor.digest == image.digest

    async def test_versions_of_windows(self, builder: LayoutBuilder) -> None:
        images = [builder.image([random_layer(n)], platform="windows/amd64") for n in (1, 2)]
        versions = ("10.0.17763.1234", "10.0.20348.2227")
        entries = [
            attrs.evolve(image, descriptor={**image.descriptor, "platform": windows(version)})
            for image, version in zip(images, versions, strict=True)
        ]
        builder.tag(builder.index(entries), "1.0")
        async with OCILayout(builder.directory) as source:
            for platform, image in {
                "windows(10.0.17763)/amd64": images[0],
                "windows(10.0.20348.2227)/amd64": images[1],
                "windows/amd64:10.0.20348": images[1],
                "windows(10.0.20348+win32k)/amd64": images[1],
            }.items():
                graph = await load_image(source, platforms=[platform])
                assert graph.root.descriptor.digest == image.digest
            both = await load_image(source, platforms=["windows/amd64"])
            assert both.root.children == tuple(image.digest for image in images)
            with pytest.raises(ImageError) as caught:
                await load_image(source, platforms=["windows(10.0.2)/amd64"])
        assert str(caught.value).endswith(
            "no image for windows(10.0.2)/amd64; there are "
            "windows(10.0.17763.1234+win32k)/amd64, windows(10.0.20348.2227+win32k)/amd64"
        )

    async def test_indexes_within_indexes_do_not_multiply(self, builder: LayoutBuilder) -> None:
        """Six levels that list the next one a thousand times each are 10^18 entries in 600 kB."""
        index = builder.index([builder.image([random_layer(1)])])
        for _ in range(6):
            index = builder.index([index] * 1000)
        builder.tag(index, "1.0")
        async with OCILayout(builder.directory) as source:
            with pytest.raises(ImageError, match="more than 10000 entries in the index and those within it"):
                await load_image(source, platforms=["linux/amd64"])

    async def test_a_config_that_lies_about_its_digest(self, builder: LayoutBuilder) -> None:
        image = builder.tag(builder.image([random_layer(1)]), "1.0")
        edit(
            builder.directory / "index.json",
            lambda index: first_entry(index).pop("platform"),
        )
        path = image.path(image.config)
        path.write_bytes(path.read_bytes().replace(b"amd64", b"arm64"))
        async with OCILayout(builder.directory) as source:
            with pytest.raises(ImageError, match=f"config {image.config}: the content has the digest"):
                await load_image(source, platforms=["linux/arm64"])

    async def test_artifacts_have_no_platform(self, builder: LayoutBuilder) -> None:
        image = builder.image([Layer(data=b"x", diff_id="", media_type="a/b")])
        builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), "1.0")
        async with OCILayout(builder.directory) as source:
            with pytest.raises(ImageError, match="no image for linux/amd64; there are unknown/unknown"):
                await load_image(source, platforms=["linux/amd64"])


class TestLayersOfConfigs:
    """An image has as many layers as its config lists, or no engine can unpack it."""

    @pytest.mark.parametrize("docker", [False, True])
    @pytest.mark.parametrize(("in_manifest", "in_config"), [(0, 1), (2, 1), (1, 3), (1, 0)])
    async def test_other_numbers_of_layers_are_refused(
        self, builder: LayoutBuilder, docker: object, in_manifest: int, in_config: int
    ) -> None:
        image = builder.image([random_layer(9, n) for n in range(in_config)], docker=bool(docker))
        layers = [builder.descriptor(random_bytes(9, n), OCI_LAYER_GZIP) for n in range(in_manifest)]
        reseal(builder, image, layers=layers)
        error = await load_error(builder)
        assert error.endswith(
            f"lists {in_manifest} layers, but its config lists {in_config} in rootfs.diff_ids; "
            "the image is incomplete"
        )

    async def test_each_image_of_an_index_is_checked(self, builder: LayoutBuilder) -> None:
        good = builder.image([random_layer(9)])
        bad = reseal(builder, builder.image([random_layer(9)], platform="linux/arm64"), layers=[])
        edit(builder.directory / "index.json", lambda index: index.update(manifests=[]))
        builder.tag(builder.index([good, bad]), "1.0")
        error = await load_error(builder)
        assert f"manifest {bad.digest}: lists 0 layers" in error
        async with OCILayout(builder.directory) as source:
            assert (await load_image(source, platforms=["linux/amd64"])).root.descriptor.digest == good.digest

    async def test_layers_from_elsewhere_count(self, builder: LayoutBuilder) -> None:
        foreign = builder.descriptor(b"foreign", FOREIGN_GZIP, urls=["https://example.com"])
        own = builder.descriptor(b"own", OCI_LAYER_GZIP)
        reseal(builder, builder.image([random_layer(9, n) for n in range(2)]), layers=[foreign, own])
        async with OCILayout(builder.directory) as source:
            assert len((await load_image(source)).blobs) == 2

    @pytest.mark.parametrize(
        ("layer", "config"),
        [
            ("application/vnd.dev.cosign.simplesigning.v1+json", {"rootfs": {"diff_ids": []}}),
            ("application/vnd.in-toto+json", {"rootfs": {"type": "layers"}}),
            (OCI_LAYER_GZIP, {}),
            (OCI_LAYER_GZIP, {"rootfs": None}),
        ],
    )
    async def test_artifacts_in_an_images_clothes_are_let_through(
        self, builder: LayoutBuilder, layer: str, config: Document
    ) -> None:
        image = builder.image([])
        described = builder.descriptor(encode(config), OCI_CONFIG)
        reseal(builder, image, layers=[builder.descriptor(b"x", layer)], config=described)
        async with OCILayout(builder.directory) as source:
            assert len((await load_image(source)).blobs) == 2

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (b"[]", "the document is a list, not an object"),
            (b'{"rootfs": {"diff_ids": 1}}', "rootfs: diff_ids is a number, not a list"),
            (b"[" * 50_000, "JSON nested too deeply"),
            (b" " * (8 * 1024 * 1024 + 1), "has 8388609 bytes, more than 8388608"),
        ],
    )
    async def test_bad_configs(self, builder: LayoutBuilder, config: bytes, message: str) -> None:
        described = builder.descriptor(config, OCI_CONFIG)
        reseal(builder, builder.image([]), config=described)
        assert f"config {described['digest']}" in (error := await load_error(builder))
        assert message in error

    async def test_bytes_of_configs_are_bounded(
        self, builder: LayoutBuilder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = [builder.image([random_layer(1)], platform=f"linux/a{n}") for n in range(10)]
        builder.tag(builder.index(images), "1.0")
        monkeypatch.setattr(graph_module, "MAX_MANIFEST_BYTES", 5000)
        error = await load_error(builder)
        assert "more than 5000 bytes of" in error


async def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    write_index(tmp_path / "layout", platforms=[f"linux/a{n}" for n in range(20)])
    async with OCILayout(tmp_path / "layout") as source:
        for delay in range(0, 60, 7):
            task = asyncio.create_task(load_image(source))
            for _ in range(delay):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
