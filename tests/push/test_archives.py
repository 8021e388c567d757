"""What archives bring with them: their own tag, and layers that nobody has compressed."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import push_image, push_images
from aioecrpublic.images import DockerArchive, ImageError, OCIArchive, OCILayout
from aioecrpublic.images.layout import CONTAINERD_NAME
from aioecrpublic.push import ImageJob, PushCompleted
from tests.push.helpers import REPOSITORY, assert_is_there, tags_of
from tests.support.oci import (
    OCI_LAYER,
    OCI_LAYER_GZIP,
    LayoutBuilder,
    digest_of,
    random_bytes,
    tar_layer,
    tar_layout,
    write_image,
)

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent


@pytest.fixture
def builder(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "layout")


class TestOwnTag:
    @pytest.mark.parametrize(
        ("names", "tag"),
        [
            ({"1.0": {}}, "1.0"),
            ({"docker.io/library/app:2.0": {}}, "2.0"),
            ({"localhost:5000/team/app": {}}, "latest"),
            ({"1.0": {CONTAINERD_NAME: "docker.io/library/app:1.0"}}, "1.0"),
            ({"x y": {CONTAINERD_NAME: "docker.io/library/app:1.1"}}, "1.1"),
            ({"1.0": {}, "latest": {}}, None),
            ({"app:1.0": {}, "other:1.0": {}}, "1.0"),
            ({f"app@sha256:{'0' * 64}": {}}, None),
            ({"-x": {}}, None),
            ({"": {}}, None),
        ],
    )
    async def test_of_the_names_in_a_layout(
        self,
        client: ECRPublicClient,
        builder: LayoutBuilder,
        names: dict[str, dict[str, str]],
        tag: str | None,
    ) -> None:
        image = builder.image([tar_layer({"a": b"x"})])
        for name, others in names.items():
            builder.tag(image, name, **others)
        path = tar_layout(builder.directory, builder.directory.with_suffix(".tar"))
        for source in (f"oci-archive:{path}", f"docker-archive:{path}", str(path), OCIArchive(path)):
            result = await push_image(client, source, REPOSITORY)
            assert result.tags == ((tag,) if tag else ())
            assert result.image_uri is not None
            assert result.image_uri.endswith(f":{tag}" if tag else image.digest)
        assert await tags_of(client) == {image.digest: [tag] if tag else []}

    async def test_of_the_name_that_was_chosen(self, client: ECRPublicClient, builder: LayoutBuilder) -> None:
        image = builder.image([tar_layer({"a": b"x"})])
        builder.tag(image, "1.0", **{CONTAINERD_NAME: "docker.io/library/app:1.0"})
        builder.tag(image, "latest", **{CONTAINERD_NAME: "docker.io/library/app:latest"})
        builder.tag(builder.image([tar_layer({"b": b"y"})]), "other")
        path = tar_layout(builder.directory, builder.directory.with_suffix(".tar"))
        for reference, tags in {
            "1.0": ("1.0",),
            "app": ("latest",),
            "docker.io/library/app:1.0": ("1.0",),
            image.digest: (),
            "other": ("other",),
        }.items():
            assert (await push_image(client, f"{path}:{reference}", REPOSITORY)).tags == tags

    @pytest.mark.parametrize(
        ("names", "tag"),
        [
            (["app:1.0"], "1.0"),
            (["app:1.0", "app:2"], None),
            (["a/b:1", "c:1"], "1"),
            (None, None),
            (["a"], "latest"),
        ],
    )
    async def test_of_the_older_form(
        self, client: ECRPublicClient, tmp_path: Path, names: list[str] | None, tag: str | None
    ) -> None:
        path = older_form(tmp_path, names)
        result = await push_image(client, f"docker-archive:{path}", REPOSITORY)
        assert result.tags == ((tag,) if tag else ())

    async def test_what_says_otherwise(self, client: ECRPublicClient, builder: LayoutBuilder) -> None:
        image = builder.tag(builder.image([tar_layer({"a": b"x"})]), "1.0")
        path = tar_layout(builder.directory, builder.directory.with_suffix(".tar"))
        assert (await push_image(client, path, REPOSITORY, [])).tags == ()
        assert (await push_image(client, path, REPOSITORY, ["2.0"])).tags == ("2.0",)
        assert (await push_image(client, OCILayout(builder.directory), REPOSITORY)).tags == ()
        assert (await push_image(client, f"oci:{builder.directory}:1.0", REPOSITORY)).tags == ()
        (result,) = await push_images(client, [ImageJob(source=path, repository_name=REPOSITORY)])
        assert result.tags == ()
        assert await tags_of(client) == {image.digest: ["2.0"]}


def older_form(directory: Path, names: list[str] | None) -> Path:
    layer = tar_layer({"file": random_bytes(1000) + bytes(100_000)}, OCI_LAYER)
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [layer.diff_id]}})
    files = directory / "older"
    files.mkdir()
    (files / "config.json").write_text(config)
    (files / "layer.tar").write_bytes(layer.data)
    manifest = [{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]
    (files / "manifest.json").write_text(json.dumps(manifest))
    return tar_layout(files, directory / "older.tar")


class TestCompress:
    @pytest.fixture
    def archive(self, builder: LayoutBuilder) -> Path:
        """An image as Docker 25 saves it."""
        layer = tar_layer({"file": random_bytes(1000) + bytes(300_000)}, OCI_LAYER)
        builder.tag(builder.image([layer]), "1.0")
        (builder.directory / "manifest.json").write_bytes(b"[]")
        return tar_layout(builder.directory, builder.directory.with_suffix(".tar"))

    async def test_what_docker_saves_arrives_compressed(
        self, server: LocalECRPublic, client: ECRPublicClient, archive: Path, builder: LayoutBuilder
    ) -> None:
        events: list[PushEvent] = []
        result = await push_image(client, archive, REPOSITORY, on_event=events.append)
        assert result.layers_compressed == 1
        assert result.bytes_uploaded < 10_000
        assert isinstance(events[-1], PushCompleted)
        assert events[-1].result == result
        manifest = json.loads(await server.read_manifest(REPOSITORY, result.digest))
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == OCI_LAYER_GZIP
        plain = gzip.decompress(await server.read_blob(layer["digest"]))
        assert (builder.directory / "blobs/sha256" / digest_of(plain)[7:]).exists()
        again = await push_image(client, f"docker-archive:{archive}", REPOSITORY)
        assert (again.digest, again.layers_uploaded) == (result.digest, 0)

    async def test_exact_bytes_on_demand(
        self, server: LocalECRPublic, client: ECRPublicClient, archive: Path, builder: LayoutBuilder
    ) -> None:
        image = builder.image([tar_layer({"file": random_bytes(1000) + bytes(300_000)}, OCI_LAYER)])
        for source in (archive, f"docker-archive:{archive}", DockerArchive(archive, compress=False)):
            result = await push_image(client, source, REPOSITORY, ["exact"], compress=False)
            assert result.layers_compressed == 0
        await assert_is_there(server, client, image, ["exact"])
        with pytest.raises(ImageError, match="make it with compress=False"):
            await push_image(client, DockerArchive(archive), REPOSITORY, compress=False)

    async def test_other_sources_on_demand(
        self, client: ECRPublicClient, builder: LayoutBuilder, archive: Path
    ) -> None:
        by_default = await push_image(client, archive, REPOSITORY)
        for source in (f"oci:{builder.directory}", OCILayout(builder.directory), f"oci-archive:{archive}"):
            exact = await push_image(client, source, REPOSITORY, ["exact"])
            assert (exact.layers_compressed, exact.digest == by_default.digest) == (0, False)
        for source in (f"oci:{builder.directory}", f"oci-archive:{archive}", str(archive)):
            compressed = await push_image(client, source, REPOSITORY, ["small"], compress=True)
            assert (compressed.layers_compressed, compressed.digest) == (1, by_default.digest)
        jobs = [ImageJob(source=f"oci:{builder.directory}", repository_name=REPOSITORY)]
        (result,) = await push_images(client, jobs, compress=True)
        assert result.digest == by_default.digest

    async def test_only_wanted_platforms_on_demand(
        self, client: ECRPublicClient, builder: LayoutBuilder
    ) -> None:
        images = [
            builder.image([tar_layer({f"f{n}": bytes(100_000)}, OCI_LAYER)], platform=f"linux/a{n}")
            for n in range(3)
        ]
        builder.tag(builder.index(images), "1.0")
        source = f"oci:{builder.directory}"
        result = await push_image(client, source, REPOSITORY, platforms=["linux/a1"], compress=True)
        assert (result.layers_compressed, result.layers_uploaded) == (1, 2)

    async def test_what_is_attached_is_pushed_with_what_it_is_about(
        self, client: ECRPublicClient, builder: LayoutBuilder
    ) -> None:
        image = builder.image([tar_layer({"file": bytes(300_000)}, OCI_LAYER)])
        builder.tag(image, "1.0")
        signature = builder.tag(builder.artifact(image, b"signature", "application/example"), "sig")
        archive = tar_layout(builder.directory, builder.directory.with_suffix(".tar"))
        result = await push_image(client, f"docker-archive:{archive}:1.0", REPOSITORY, referrers=True)
        assert (result.digest, result.layers_compressed) == (image.digest, 0)
        assert await tags_of(client) == {image.digest: ["1.0"], signature.digest: []}


async def test_by_command_from_standard_input(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "layout")
    archive = tar_layout(image.directory, tmp_path / "image.tar")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aioecrpublic", "push", "-", REPOSITORY, "--json", "--no-compress"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=server.environment,
    )
    output, errors = await asyncio.wait_for(process.communicate(archive.read_bytes()), 60)
    assert process.returncode == 0, errors.decode()
    assert json.loads(output)["tags"] == ["1.0"]
    await assert_is_there(server, client, image, ["1.0"])
