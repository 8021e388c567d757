"""Directories as skopeo writes them for ``dir:``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import ImageError, load_image, open_image
from aioecrpublic.images.directory import DirectoryImage
from tests.images.helpers import assert_holds, error_of
from tests.support.oci import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    BuiltImage,
    write_image,
    write_index,
)
from tests.support.tools import skopeo

if TYPE_CHECKING:
    from pathlib import Path


def as_directory(image: BuiltImage, directory: Path) -> Path:
    """Write an image as skopeo does."""
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(image.read(image.digest))
    for digest in image.manifests[:-1]:
        (directory / f"{digest[7:]}.manifest.json").write_bytes(image.read(digest))
    for digest in (*image.configs, *image.layers):
        (directory / digest[7:]).write_bytes(image.read(digest))
    return directory


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return write_index(tmp_path / "layout", attestations=True)


@pytest.fixture
def directory(image: BuiltImage, tmp_path: Path) -> Path:
    return as_directory(image, tmp_path / "dir")


@pytest.mark.parametrize("form", ["dir:{}", "{}", "{}/"])
async def test_an_index_is_read_as_it_is(image: BuiltImage, directory: Path, form: str) -> None:
    async with open_image(form.format(directory)) as source:
        await assert_holds(source, image)
        assert source.name == f"dir:{form.format(directory).removeprefix('dir:')}"
        one = await load_image(source, platforms=["linux/arm64"])
    assert one.root.descriptor.digest == image.manifests[1]


@pytest.mark.parametrize("docker", [False, True])
async def test_an_image_is_read_as_it_is(tmp_path: Path, docker: object) -> None:
    image = write_image(tmp_path / "layout", docker=bool(docker))
    async with open_image(f"dir:{as_directory(image, tmp_path / 'a:b')}") as source:
        await assert_holds(source, image)
        assert await source.referrers(image.digest) == ()  # type: ignore[attr-defined]
        assert await source.cosign_tags(image.digest) == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX])
async def test_a_manifest_that_does_not_say_what_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "layout"
    image = write_index(path) if kind == OCI_INDEX else write_image(path, docker=kind == DOCKER_MANIFEST)
    directory = as_directory(image, tmp_path / "dir")
    document = json.loads((directory / "manifest.json").read_bytes())
    del document["mediaType"]
    (directory / "manifest.json").write_text(json.dumps(document))
    async with DirectoryImage(directory) as source:
        assert (await source.open()).media_type == kind
        await load_image(source)


async def test_a_layout_with_a_manifest_file_beside_is_a_layout(image: BuiltImage) -> None:
    (image.directory / "manifest.json").write_bytes(b"[]")
    async with open_image(image.directory) as source:
        assert source.name == f"oci:{image.directory}"
        await assert_holds(source, image)


async def test_the_version_need_not_be_there(image: BuiltImage, directory: Path) -> None:
    (directory / "version").unlink()
    async with open_image(directory) as source:
        await assert_holds(source, image)


class TestRefused:
    async def test_another_version(self, directory: Path) -> None:
        (directory / "version").write_text("Directory Transport Version: 2.0\x1b\n")
        assert await error_of(DirectoryImage(directory)) == (
            f"dir:{directory}: version says 'Directory Transport Version: 2.0\\x1b\\n', "
            "not 'Directory Transport Version: 1.'…"
        )

    async def test_no_image(self, tmp_path: Path) -> None:
        assert await error_of(DirectoryImage(tmp_path)) == (
            f"dir:{tmp_path}: manifest.json is missing; this is no directory that skopeo has written"
        )
        assert await error_of(DirectoryImage(tmp_path / "x")) == f"dir:{tmp_path}/x: no such directory"

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"mediaType": "a/b"}', b"{" * 100_000])
    async def test_a_bad_manifest(self, directory: Path, content: bytes) -> None:
        (directory / "manifest.json").write_bytes(content)
        assert (await error_of(DirectoryImage(directory))).startswith(f"dir:{directory}: ")

    async def test_a_missing_blob(self, image: BuiltImage, directory: Path) -> None:
        (directory / image.layers[0][7:]).unlink()
        assert await error_of(open_image(directory)) == f"dir:{directory}: blob {image.layers[0]} is missing"

    async def test_a_blob_of_another_size(self, image: BuiltImage, directory: Path) -> None:
        (directory / image.layers[0][7:]).write_bytes(b"x")
        assert "has 1 bytes, but its descriptor says" in await error_of(open_image(directory))

    async def test_what_is_no_file(self, image: BuiltImage, directory: Path, tmp_path: Path) -> None:
        for name in (image.layers[0][7:], "manifest.json", "version"):
            (directory / name).unlink()
            os.mkfifo(directory / name)
            assert "not a regular file" in await error_of(DirectoryImage(directory))
        os.mkfifo(tmp_path / "pipe")
        assert await error_of(DirectoryImage(tmp_path / "pipe")) == f"dir:{tmp_path}/pipe: not a directory"

    async def test_a_link_out_of_it(self, image: BuiltImage, directory: Path) -> None:
        (directory / image.layers[0][7:]).unlink()
        (directory / image.layers[0][7:]).symlink_to("/dev/zero")
        assert "points outside" in await error_of(open_image(directory))


@pytest.mark.interop
@pytest.mark.parametrize("options", [[], ["--all"]])
async def test_what_skopeo_writes(tmp_path: Path, options: list[str]) -> None:
    image = write_index(tmp_path / "layout", real_layers=True, layer_size=20_000)
    single = write_image(tmp_path / "single", real_layers=True)
    wanted = image if options else single
    skopeo("copy", *options, f"oci:{wanted.directory}:1.0", f"dir:{tmp_path}/dir")
    async with open_image(f"dir:{tmp_path}/dir") as source:
        graph = await assert_holds(source, wanted)
    assert graph.root.raw.decode() == skopeo("inspect", "--raw", f"dir:{tmp_path}/dir")


def test_it_needs_a_path() -> None:
    with pytest.raises(ImageError, match="'dir:': no path; expected oci:DIR"):
        open_image("dir:")
