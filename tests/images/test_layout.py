from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import Descriptor, ImageError, ImageSource, OCILayout, load_image, open_image
from aioecrpublic.images import layout as module
from aioecrpublic.images.layout import CONTAINERD_NAME
from tests.images.helpers import assert_holds, edit, error_of, first_entry, read_blob
from tests.support.oci import (
    OCI_INDEX,
    OCI_MANIFEST,
    REF_NAME,
    LayoutBuilder,
    digest_of,
    random_layer,
    tar_layout,
    write_image,
    write_index,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oci import JSON, BuiltImage, Document


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "layout"


@pytest.mark.parametrize("docker", [False, True])
async def test_an_image_is_read_as_it_is(directory: Path, *, docker: bool) -> None:
    image = write_image(directory, layers=3, layer_size=10_001, docker=docker)
    async with OCILayout(directory) as source:
        assert isinstance(source, ImageSource)
        graph = await assert_holds(source, image)
    assert [blob.digest for blob in graph.blobs] == [image.config, *image.layers]
    assert graph.root.blobs == graph.blobs
    assert graph.root.children == ()


@pytest.mark.parametrize("docker", [False, True])
async def test_an_index_is_read_as_it_is(directory: Path, *, docker: bool) -> None:
    image = write_index(directory, docker=docker, attestations=True, shared_layers=2)
    async with OCILayout(directory) as source:
        graph = await assert_holds(source, image)
    assert graph.root.children == image.manifests[:-1]
    assert graph.root.blobs == ()


async def test_a_manifest_without_a_media_type_has_its_descriptors(directory: Path) -> None:
    builder = LayoutBuilder(directory)
    image = builder.image([random_layer(100)])
    raw = image.read(image.digest).replace(b'"mediaType":"' + OCI_MANIFEST.encode() + b'",', b"", 1)
    descriptor = builder.descriptor(raw, OCI_MANIFEST)
    edit(directory / "index.json", lambda index: index.update(manifests=[descriptor]))
    async with OCILayout(directory) as source:
        graph = await load_image(source)
    assert graph.root.raw == raw
    assert graph.root.descriptor.media_type == OCI_MANIFEST


class TestAnIndexThatIsTheImage:
    """As go-containerregistry writes one (pkg/v1/layout, ``Write``): ``index.json`` lists the platforms."""

    @pytest.fixture
    def image(self, directory: Path) -> BuiltImage:
        image = write_index(directory, attestations=True)
        raw = image.read(image.digest)
        (directory / "index.json").write_bytes(raw)
        image.path(image.digest).unlink()
        return image

    async def test_it_is_read_as_it_is(self, directory: Path, image: BuiltImage) -> None:
        raw = (directory / "index.json").read_bytes()
        async with OCILayout(directory) as source:
            root = await source.open()
            assert (root.digest, root.size, root.media_type) == (digest_of(raw), len(raw), OCI_INDEX)
            graph = await load_image(source)
            one = await load_image(source, platforms=["linux/arm64"])
            assert await source.referrers(root.digest) == ()
        assert graph.root.raw == raw
        assert [node.descriptor.digest for node in graph.manifests] == list(image.manifests)
        assert one.root.descriptor.digest == image.manifests[1]

    async def test_its_form_is_its_own(self, directory: Path, image: BuiltImage) -> None:
        document = json.loads((directory / "index.json").read_bytes())
        del document["mediaType"]
        raw = json.dumps(document, indent=3).encode()
        (directory / "index.json").write_bytes(raw)
        for source in (
            OCILayout(directory),
            open_image(tar_layout(directory, directory.with_suffix(".tar"))),
        ):
            async with source:
                graph = await load_image(source)
            assert graph.root.raw == raw
            assert graph.root.descriptor.media_type == OCI_INDEX
        async with OCILayout(directory, image.manifests[0]) as source:
            assert (await source.open()).digest == image.manifests[0]

    async def test_one_image_for_two_platforms(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image = builder.image([random_layer(10)])
        entries: list[JSON] = [
            {**image.descriptor, "platform": {"os": "linux", "architecture": "arm", "variant": variant}}
            for variant in ("v6", "v7")
        ]
        edit(directory / "index.json", lambda index: index.update(manifests=entries))
        async with OCILayout(directory) as source:
            assert (await source.open()).digest == digest_of((directory / "index.json").read_bytes())
            for variant in ("v6", "v7"):
                graph = await load_image(source, platforms=[f"linux/arm/{variant}"])
                assert graph.root.descriptor.digest == image.digest

    @pytest.mark.parametrize(
        "change",
        [
            {"annotations": {REF_NAME: "1.0"}},
            {"annotations": {CONTAINERD_NAME: "app:1.0"}},
            {"platform": None},
            {"platform": {"os": "linux", "architecture": "arm64"}},
        ],
    )
    async def test_images_beside_each_other_are_none(
        self, directory: Path, image: BuiltImage, change: Document
    ) -> None:
        assert image.manifests
        edit(directory / "index.json", lambda index: first_entry(index).update(change))
        assert "index.json lists 4 images; choose one of" in await error_of(OCILayout(directory))


async def test_ranges_are_read_at_any_place_in_any_order(directory: Path) -> None:
    image = write_image(directory, layers=1, layer_size=5000)
    (digest,) = image.layers
    data = image.read(digest)
    async with OCILayout(directory) as source:
        blob = await source.open_blob(Descriptor(media_type="x/y", digest=digest, size=5000))
        ranges = [(4000, 1000), (0, 10), (17, 0), (5000, 0), (10, 4000), (0, 5000)]
        for offset, length in ranges:
            part = await blob.read(offset, length)
            assert len(part) == length
            assert part.read_at(0, length) == data[offset : offset + length]
            assert part.read_at(length // 2, length // 3) == data[offset + length // 2 :][: length // 3]
        reader = await blob.read(0, 5000)
        for offset, length in [(0, 5001), (-1, 1), (1, -1), (5001, 0)]:
            with pytest.raises(ValueError, match="not within 5000 bytes"):
                await blob.read(offset, length)
        with pytest.raises(ValueError, match="not within 10 bytes"):
            (await blob.read(0, 10)).read_at(5, 6)
        await blob.close()
        await blob.close()
        with pytest.raises(ImageError, match="after it was closed"):
            await blob.read(0, 1)
        with pytest.raises(ImageError, match="after it was closed"):
            reader.read_at(0, 1)


async def test_many_threads_read_one_blob(directory: Path) -> None:
    image = write_image(directory, layers=1, layer_size=200_000)
    (digest,) = image.layers
    data = image.read(digest)
    async with OCILayout(directory) as source:
        blob = await source.open_blob(Descriptor(media_type="x/y", digest=digest, size=200_000))
        reader = await blob.read(0, 200_000)
        pieces = await asyncio.gather(
            *(asyncio.to_thread(reader.read_at, offset, 1000) for offset in range(0, 200_000, 1000))
        )
        assert b"".join(pieces) == data
        await blob.close()


async def test_a_truncated_blob_is_an_error_not_fewer_bytes(directory: Path) -> None:
    image = write_image(directory, layers=1, layer_size=5000)
    (digest,) = image.layers
    async with OCILayout(directory) as source:
        blob = await source.open_blob(Descriptor(media_type="x/y", digest=digest, size=5000))
        reader = await blob.read(0, 5000)
        os.truncate(image.path(digest), 3000)
        assert len(reader.read_at(0, 3000)) == 3000
        with pytest.raises(ImageError, match=f"{digest[7:]}: ends at byte 3000, .*truncated"):
            reader.read_at(2000, 2000)
        await blob.close()


async def test_closing_the_source_closes_its_blobs(directory: Path) -> None:
    image = write_image(directory)
    source = OCILayout(directory)
    await source.open()
    (digest, _) = image.layers
    descriptor = Descriptor(media_type="x/y", digest=digest, size=1024)
    blob = await source.open_blob(descriptor)
    reader = await blob.read(0, 10)
    await source.close()
    await source.close()
    with pytest.raises(ImageError, match="closed"):
        reader.read_at(0, 1)
    for used in (source.open(), source.open_blob(descriptor), source.read_manifest(descriptor)):
        with pytest.raises(ImageError, match="used after it was closed"):
            await used
    await blob.close()


async def test_opening_twice_gives_the_same(directory: Path) -> None:
    image = write_image(directory)
    async with OCILayout(directory) as source:
        first, second = await asyncio.gather(source.open(), source.open())
        assert first is second
        assert first.digest == image.digest


async def test_the_directory_may_be_a_link_and_may_be_moved(directory: Path, tmp_path: Path) -> None:
    image = write_image(directory)
    (tmp_path / "link").symlink_to(directory)
    async with OCILayout(tmp_path / "link") as source:
        directory.rename(tmp_path / "elsewhere")
        graph = await load_image(source)
        for blob in graph.blobs:
            assert digest_of(await read_blob(source, blob)) == blob.digest
    assert graph.root.descriptor.digest == image.digest


class TestReferences:
    async def test_each_kind_of_reference_is_found(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        images = {}
        for number, (name, full) in enumerate(
            [("1.0", "docker.io/library/app:1.0"), ("2.0", "ghcr.io/x/y:2.0")]
        ):
            image = builder.image([random_layer(10, number)])
            images[name] = builder.tag(image, name, **{CONTAINERD_NAME: full})
        images["app:3"] = builder.tag(builder.image([random_layer(10, 3)]), "app:3")
        for reference, name in {
            "1.0": "1.0",
            "2.0": "2.0",
            "app:1.0": "1.0",
            "library/app:1.0": "1.0",
            "docker.io/library/app:1.0": "1.0",
            "ghcr.io/x/y:2.0": "2.0",
            "app:3": "app:3",
            images["1.0"].digest: "1.0",
            "@" + images["2.0"].digest: "2.0",
        }.items():
            async with OCILayout(directory, reference) as source:
                assert (await source.open()).digest == images[name].digest, reference
                assert source.name == f"oci:{directory}:{reference}"

    async def test_an_unknown_reference_lists_the_others(self, directory: Path) -> None:
        write_image(directory, tag="1.0")
        write_image(directory, tag="2.0", seed=5)
        for reference in ("3.0", "app:1.0", "sha256:" + "0" * 64, "1.0 "):
            assert await error_of(OCILayout(directory, reference)) == (
                f"oci:{directory}: no image {reference!r}; there are 1.0, 2.0"
            )

    async def test_without_a_reference_there_must_be_one_image(self, directory: Path) -> None:
        LayoutBuilder(directory)
        assert "index.json lists no image" in await error_of(OCILayout(directory))
        image = write_image(directory, tag="1.0")
        builder = LayoutBuilder(directory)
        builder.tag(image, "latest")
        async with OCILayout(directory) as source:  # one image with two names
            assert (await source.open()).digest == image.digest
        other = builder.tag(builder.image([random_layer(3)]), None)
        assert await error_of(OCILayout(directory)) == (
            f"oci:{directory}: index.json lists 3 images; choose one of 1.0, latest, {other.digest}"
        )

    async def test_two_images_of_one_name_are_refused(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        builder.tag(builder.image([random_layer(3)]), "a", **{CONTAINERD_NAME: "app:1"})
        builder.tag(builder.image([random_layer(4)]), "b", **{CONTAINERD_NAME: "app:1"})
        assert "2 images are called 'app:1'; choose by digest: sha256:" in await error_of(
            OCILayout(directory, "app:1")
        )

    async def test_a_long_list_is_cut(self, directory: Path) -> None:
        write_image(directory)
        edit(
            directory / "index.json",
            lambda index: index.update(
                manifests=[
                    {**first_entry(index), "digest": digest_of(b"%d" % n), "annotations": {REF_NAME: f"t{n}"}}
                    for n in range(1000)
                ]
            ),
        )
        message = await error_of(OCILayout(directory))
        assert message.endswith("t19 and 980 more")


class TestBadLayouts:
    """Each is one line that names what is wrong."""

    async def test_no_directory(self, directory: Path) -> None:
        assert await error_of(OCILayout(directory)) == f"oci:{directory}: no such directory"
        directory.write_bytes(b"")
        assert await error_of(OCILayout(directory)) == f"oci:{directory}: not a directory"
        assert "null" in await error_of(OCILayout("a\0b"))

    async def test_no_layout_file(self, directory: Path) -> None:
        write_image(directory)
        (directory / "oci-layout").unlink()
        assert await error_of(OCILayout(directory)) == (
            f"oci:{directory}: oci-layout is missing; this is no OCI image layout"
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'{"imageLayoutVersion":"2.0.0"}', "imageLayoutVersion is '2.0.0', not '1.0.0'"),
            (b"{}", "imageLayoutVersion is None"),
            (b'{"imageLayoutVersion":1}', "imageLayoutVersion is a number, not text"),
            (b"1.0.0", "not valid JSON"),
            (b" " * 70_000, "more than 65536"),
        ],
    )
    async def test_another_layout_version(self, directory: Path, content: bytes, message: str) -> None:
        write_image(directory)
        (directory / "oci-layout").write_bytes(content)
        error = await error_of(OCILayout(directory))
        assert error.startswith(f"oci:{directory}: oci-layout")
        assert message in error

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "index.json is missing"),
            (b"", "not valid JSON"),
            (b"[]", "the document is a list, not an object"),
            (b'{"manifests": 1}', "manifests is a number, not a list"),
            (b'{"manifests": [1]}', "manifests[0] is a number, not an object"),
            (b'{"manifests": null}', "lists no image"),
            (b'{"a":' * 100_000, "JSON nested too deeply"),
            (b" " * (4 * 1024 * 1024 + 1), "4194305 bytes, more than 4194304"),
        ],
    )
    async def test_bad_index(self, directory: Path, content: bytes | None, message: str) -> None:
        write_image(directory)
        (directory / "index.json").unlink()
        if content is not None:
            (directory / "index.json").write_bytes(content)
        error = await error_of(OCILayout(directory))
        assert error.startswith(f"oci:{directory}: index.json")
        assert message in error

    async def test_a_digest_that_is_a_path(self, directory: Path) -> None:
        write_image(directory)
        edit(directory / "index.json", lambda index: first_entry(index).update(digest="sha256:../../x"))
        assert await error_of(OCILayout(directory)) == (
            f"oci:{directory}: index.json: manifests[0]: digest: 'sha256:../../x' is no digest "
            "(sha256: with 64 or sha512: with 128 lowercase hex digits)"
        )

    async def test_a_missing_blob(self, directory: Path) -> None:
        image = write_image(directory)
        image.path(image.layers[1]).unlink()
        assert await error_of(OCILayout(directory)) == f"oci:{directory}: blob {image.layers[1]} is missing"

    async def test_a_blob_of_another_size(self, directory: Path) -> None:
        image = write_image(directory)
        image.path(image.layers[1]).write_bytes(b"short")
        assert await error_of(OCILayout(directory)) == (
            f"oci:{directory}: blob {image.layers[1]} has 5 bytes, but its descriptor says 1024"
        )

    async def test_a_missing_manifest(self, directory: Path) -> None:
        image = write_index(directory)
        image.path(image.manifests[0]).unlink()
        assert f"blob {image.manifests[0]} is missing" in await error_of(OCILayout(directory))

    async def test_a_manifest_of_another_content(self, directory: Path) -> None:
        image = write_image(directory)
        path = image.path(image.digest)
        path.write_bytes(path.read_bytes().replace(b"1024", b"1025"))
        assert f"manifest {image.digest}: the content has the digest sha256:" in await error_of(
            OCILayout(directory)
        )

    async def test_a_manifest_larger_than_the_service_takes(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image = builder.image([random_layer(10)], annotations={"a": "x" * 4_200_000})
        builder.tag(image, "1.0")
        error = await error_of(OCILayout(directory))
        assert f"manifest {image.digest} has 42" in error
        assert "more than the 4194304 that ECR Public takes" in error

    async def test_files_of_other_kinds(self, directory: Path) -> None:
        image = write_image(directory)
        path = image.path(image.layers[0])
        path.unlink()
        path.mkdir()
        assert f"{image.layers[0][7:]}: not a regular file" in await error_of(OCILayout(directory))
        path.rmdir()
        os.mkfifo(path)
        assert f"{image.layers[0][7:]}: not a regular file" in await error_of(OCILayout(directory))
        shutil.rmtree(directory / "blobs" / "sha256")
        (directory / "blobs" / "sha256").write_bytes(b"")
        assert "not a directory" in await error_of(OCILayout(directory))

    async def test_an_unreadable_blob(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        image = write_image(directory)
        os_open = os.open

        def refuse(path: str, *args: int, **kwargs: int) -> int:
            if path == image.layers[0][7:]:
                raise PermissionError(13, "Permission denied", path)
            return os_open(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", refuse)
        assert f"{image.layers[0][7:]}: Permission denied" in await error_of(OCILayout(directory))


class TestLinks:
    """Symbolic links are followed within the layout, and refused when they lead out of it."""

    async def test_within_the_layout(self, directory: Path) -> None:
        image = write_image(directory)
        path = image.path(image.layers[0])
        path.rename(directory / "moved")
        path.symlink_to("../../x")
        (directory / "x").symlink_to("./blobs/.././moved")
        async with OCILayout(directory) as source:
            await assert_holds(source, image)

    async def test_a_linked_directory_within_the_layout(self, directory: Path) -> None:
        image = write_image(directory)
        (directory / "blobs" / "sha256").rename(directory / "real")
        (directory / "blobs" / "sha256").symlink_to("../real/")
        async with OCILayout(directory) as source:
            await assert_holds(source, image)

    @pytest.mark.parametrize("target", ["{outside}", "../../../outside", "../../blobs/../../outside"])
    async def test_out_of_the_layout(self, directory: Path, tmp_path: Path, target: str) -> None:
        image = write_image(directory)
        path = image.path(image.layers[0])
        path.rename(tmp_path / "outside")
        path.symlink_to(target.format(outside=tmp_path / "outside"))
        assert path.read_bytes()
        assert f"{image.layers[0][7:]}: a symbolic link points outside the layout" in await error_of(
            OCILayout(directory)
        )

    async def test_a_linked_directory_out_of_the_layout(self, directory: Path, tmp_path: Path) -> None:
        write_image(directory)
        (directory / "blobs").rename(tmp_path / "blobs")
        (directory / "blobs").symlink_to("../blobs")
        assert "points outside the layout" in await error_of(OCILayout(directory))

    async def test_in_a_circle_or_to_nowhere(self, directory: Path) -> None:
        image = write_image(directory)
        path = image.path(image.layers[0])
        path.unlink()
        path.symlink_to(path.name)
        assert "too many symbolic links" in await error_of(OCILayout(directory))
        path.unlink()
        path.symlink_to("nowhere")
        assert f"blob {image.layers[0]} is missing" in await error_of(OCILayout(directory))
        path.unlink()
        path.symlink_to(".")
        assert "not a regular file" in await error_of(OCILayout(directory))


class TestReferrers:
    async def test_referrers_are_found_beside_the_image_and_under_the_fallback_tag(
        self, directory: Path
    ) -> None:
        builder = LayoutBuilder(directory)
        image = builder.tag(builder.image([random_layer(10)]), "1.0")
        other = builder.tag(builder.image([random_layer(11)]), "2.0")
        sbom = builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), None)
        signature = builder.artifact(image, b"signature", "application/signature")
        builder.tag(builder.artifact(other, b"x", "application/x"), None)
        builder.tag(builder.index([sbom, signature]), image.digest.replace(":", "-"))
        async with OCILayout(directory, "1.0") as source:
            referrers = await source.referrers(image.digest)
            assert [(r.digest, r.artifact_type) for r in referrers] == [
                (sbom.digest, "application/spdx+json"),
                (signature.digest, "application/signature"),
            ]
            for referrer, built in zip(referrers, [sbom, signature], strict=True):
                graph = await load_image(source, root=referrer)
                assert graph.root.raw == built.read(built.digest)
                assert {blob.digest for blob in graph.blobs} == {*built.configs, *built.layers}
            assert await source.referrers("sha256:" + "0" * 64) == ()
            with pytest.raises(ImageError, match="is no digest"):
                await source.referrers("latest")

    async def test_a_fallback_tag_is_about_one_manifest(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image, other = (builder.tag(builder.image([random_layer(n)]), f"{n}.0") for n in (1, 2))
        sbom = builder.artifact(image, b"sbom", "application/spdx+json")
        builder.tag(builder.index([sbom, sbom]), other.digest.replace(":", "-"))
        async with OCILayout(directory, "1.0") as source:
            assert await source.referrers(image.digest) == ()
            assert await source.referrers(other.digest) == ()

    async def test_each_manifest_is_read_once_for_all_that_are_asked_about(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        builder = LayoutBuilder(directory)
        images = [builder.tag(builder.image([random_layer(n)]), f"{n}.0") for n in range(5)]
        for image in images:
            builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), None)
        async with OCILayout(directory, "1.0") as source:
            for image in images:
                assert len(await source.referrers(image.digest)) == 1
            monkeypatch.setattr(source, "_parse", None)
            for image in images:
                assert len(await source.referrers(image.digest)) == 1

    async def test_a_search_without_end_is_refused(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        builder = LayoutBuilder(directory)
        image = builder.tag(builder.image([random_layer(10)]), "1.0")
        builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), None)
        for name, limit in (("MAX_REFERRER_BYTES", 700), ("MAX_ENTRIES", 1)):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, limit)
                async with OCILayout(directory, "1.0") as source:
                    with pytest.raises(ImageError, match=r"to be searched for what is attached to the image"):
                        await source.referrers(image.digest)

    async def test_two_signatures_of_one_name(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image = builder.tag(builder.image([random_layer(10)]), "1.0")
        name = f"{image.digest.replace(':', '-')}.sig"
        one = builder.tag(builder.image([random_layer(11)]), name)
        edit(directory / "index.json", lambda index: index.update(manifests=[*builder.entries()] * 2))
        async with OCILayout(directory, "1.0") as source:
            assert (await source.cosign_tags(image.digest))[name].digest == one.digest
        entries = builder.entries()
        builder.tag(builder.image([random_layer(12)]), name)
        edit(directory / "index.json", lambda index: index.update(manifests=[*entries, *builder.entries()]))
        async with OCILayout(directory, "1.0") as source:
            with pytest.raises(ImageError, match=f"images are called '{name[:20]}"):
                await source.cosign_tags(image.digest)

    async def test_what_is_no_manifest_refers_to_nothing(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image = builder.tag(builder.image([random_layer(10)]), "1.0")
        sbom = builder.tag(builder.artifact(image, b"sbom", "application/spdx+json"), None)
        index = json.loads((directory / "index.json").read_bytes())
        index["manifests"].insert(0, {**image.descriptor, "mediaType": "application/xml"})
        (directory / "index.json").write_text(json.dumps(index))
        async with OCILayout(directory, "1.0") as source:
            assert [found.digest for found in await source.referrers(image.digest)] == [sbom.digest]

    async def test_an_artifact_says_its_type_by_its_config_too(self, directory: Path) -> None:
        builder = LayoutBuilder(directory)
        image = builder.tag(builder.image([random_layer(10)]), "1.0")
        subject = {key: image.descriptor[key] for key in ("mediaType", "digest", "size")}
        child = builder.image([random_layer(12)], subject=subject, annotations={"made": "here"})
        builder.tag(child, None)
        async with OCILayout(directory, "1.0") as source:
            (referrer,) = await source.referrers(image.digest)
        assert referrer.artifact_type == "application/vnd.oci.image.config.v1+json"
        assert referrer.annotations == {"made": "here"}


async def test_cancelling_leaves_nothing_open(directory: Path) -> None:
    image = write_image(directory)
    descriptor = Descriptor(media_type="x/y", digest=image.layers[0], size=1024)
    for delay in range(4):
        source = OCILayout(directory)
        await source.open()
        task = asyncio.create_task(source.open_blob(descriptor))
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.close()


async def test_cancelling_while_opening_leaves_nothing_open(directory: Path) -> None:
    write_image(directory)
    for delay in range(4):
        source = OCILayout(directory)
        task = asyncio.create_task(source.open())
        for _ in range(delay):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            # On a busy machine a few turns of the loop may be enough to open it.
            await source.close()


@pytest.mark.parametrize("what", ["blob", "source"])
async def test_cancelling_while_closing_waits_for_a_thread_closes(directory: Path, what: str) -> None:
    image = write_image(directory)
    gate = threading.Event()
    async with OCILayout(directory) as source:
        blob = await source.open_blob(Descriptor(media_type="x/y", digest=image.layers[0], size=1024))
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        holding = loop.run_in_executor(None, gate.wait, 60)
        closing = asyncio.create_task(blob.close() if what == "blob" else source.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait([closing])
        await holding
        assert closing.cancelled()
        assert blob._content.file.closed
