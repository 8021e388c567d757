from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import tempfile
import time
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from aioecrpublic.images import DockerArchive, ImageError, compressing, load_image, packing
from aioecrpublic.images import docker_archive as module
from aioecrpublic.images.layout import CONTAINERD_NAME
from tests.images.helpers import assert_cancellable, assert_holds, error_of, read_blob
from tests.support.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    LayoutBuilder,
    digest_of,
    encode,
    random_bytes,
    random_layer,
    tar_bytes,
    tar_layout,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aioecrpublic.images.packing import Spool

LAYERS = [tar_bytes({f"file{n}": random_bytes(3000, n) + bytes(100_000)}) for n in range(3)]


class Archive:
    """Writes a docker-archive of the older form, piece by piece."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.members: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.images: list[dict[str, object]] = []

    def add(self, layers: Sequence[bytes], tags: Sequence[str] | None = ("app:1.0",)) -> bytes:
        """Add an image of plain layers; return its config."""
        diff_ids = [digest_of(layer) for layer in layers]
        config = encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            }
        )
        name = f"{digest_of(config)[7:]}.json"
        paths = [f"{diff_id[7:]}/layer.tar" for diff_id in diff_ids]
        self.members[name] = config
        self.members.update(zip(paths, layers, strict=True))
        self.images.append({"Config": name, "RepoTags": tags and list(tags), "Layers": paths})
        return config

    def write(self) -> Path:
        self.members["manifest.json"] = json.dumps(self.images).encode()
        with tarfile.open(self.path, "w") as tar:
            for name, data in self.members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            for name, target in self.links.items():
                info = tarfile.TarInfo(name)
                info.type = tarfile.SYMTYPE
                info.linkname = target
                tar.addfile(info)
        return self.path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "image.tar")


class TestLayoutInside:
    """Archives of Docker 25 and later hold an OCI layout, which is what counts."""

    async def test_the_layout_is_preferred(self, tmp_path: Path) -> None:
        builder = LayoutBuilder(tmp_path / "layout")
        plain = tar_bytes({"a": b"data"})
        image = builder.image([random_layer(100, media_type="application/vnd.oci.image.layer.v1.tar")])
        builder.tag(image, "1.0", **{CONTAINERD_NAME: "docker.io/library/app:1.0"})
        (tmp_path / "layout" / "manifest.json").write_bytes(
            json.dumps([{"Config": "x", "RepoTags": ["app:1.0"], "Layers": [plain.hex()]}]).encode()
        )
        archive = tar_layout(tmp_path / "layout", tmp_path / "image.tar")
        for reference in (None, "1.0", "app:1.0", "docker.io/library/app:1.0"):
            async with DockerArchive(archive, reference) as source:
                await assert_holds(source, image)

    async def test_half_a_layout_is_none(self, archive: Archive) -> None:
        archive.add(LAYERS[:1])
        archive.members["index.json"] = b"{}"
        async with DockerArchive(archive.write()) as source:
            assert len((await load_image(source)).blobs) == 2


@pytest.mark.parametrize("form", [bytes, gzip.compress, zstd.compress])
async def test_layers_are_compressed_and_a_manifest_is_made(
    archive: Archive, form: Callable[[bytes], bytes]
) -> None:
    config = archive.add(LAYERS)
    path = archive.write()
    path.write_bytes(form(path.read_bytes()))
    async with DockerArchive(path) as source:
        graph = await load_image(source)
        contents = [await read_blob(source, blob, 100_000) for blob in graph.blobs]
        assert await source.open() == graph.root.descriptor
    assert contents[0] == config
    assert [gzip.decompress(content) for content in contents[1:]] == LAYERS
    assert [digest_of(content) for content in contents] == [blob.digest for blob in graph.blobs]
    assert sum(map(len, contents[1:])) < sum(map(len, LAYERS)) / 10
    assert json.loads(graph.root.raw) == {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [
            {"mediaType": DOCKER_LAYER_GZIP, "digest": digest_of(content), "size": len(content)}
            for content in contents[1:]
        ],
    }


async def test_the_same_archive_gives_the_same_image(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(LAYERS)
    path = archive.write()
    digests = set()
    for workers in (1, 2, 4):
        for each in (module, compressing):
            monkeypatch.setattr(each, "_WORKERS", workers)
        async with DockerArchive(path) as source:
            digests.add((await source.open()).digest)
    assert len(digests) == 1


async def test_a_layer_that_occurs_twice_is_compressed_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add([LAYERS[0], LAYERS[1], LAYERS[0]])
    archive.links["other/layer.tar"] = f"../{digest_of(LAYERS[0])[7:]}/layer.tar"
    layers = archive.images[0]["Layers"]
    assert isinstance(layers, list)
    layers[2] = "other/layer.tar"
    finished: list[object] = []
    finish = packing.Compressor.finish

    def count(compressor: packing.Compressor) -> bytes:
        finished.append(compressor)
        return finish(compressor)

    monkeypatch.setattr(packing.Compressor, "finish", count)
    async with DockerArchive(archive.write()) as source:
        graph = await load_image(source)
        assert source.layers_compressed == 2
    assert len(finished) == 2
    assert len(graph.blobs) == 3
    assert len(json.loads(graph.root.raw)["layers"]) == 3


async def test_links_as_skopeo_writes_them(archive: Archive) -> None:
    archive.add(LAYERS[:1])
    path = f"{digest_of(LAYERS[0])[7:]}/layer.tar"
    archive.members["plain.tar"] = archive.members.pop(path)
    archive.links[path] = "../plain.tar"
    async with DockerArchive(archive.write()) as source:
        graph = await load_image(source)
        assert gzip.decompress(await read_blob(source, graph.blobs[1])) == LAYERS[0]


@pytest.mark.parametrize("form", [gzip.compress, zstd.compress])
async def test_compressed_layers_are_kept_as_they_are(
    archive: Archive, form: Callable[[bytes], bytes]
) -> None:
    archive.add(LAYERS[:2])
    path = f"{digest_of(LAYERS[0])[7:]}/layer.tar"
    archive.members[path] = form(LAYERS[0])
    async with DockerArchive(archive.write()) as source:
        graph = await load_image(source)
        assert await read_blob(source, graph.blobs[1]) == archive.members[path]
        assert gzip.decompress(await read_blob(source, graph.blobs[2])) == LAYERS[1]
    kinds = [blob.media_type for blob in graph.blobs]
    if form is gzip.compress:
        assert graph.root.descriptor.media_type == DOCKER_MANIFEST
        assert kinds == [DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_LAYER_GZIP]
    else:
        assert graph.root.descriptor.media_type == OCI_MANIFEST
        assert kinds == [OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd", OCI_LAYER_GZIP]


async def test_diff_ids_may_be_sha512(archive: Archive) -> None:
    archive.add(LAYERS[:1])
    digest = "sha512:" + hashlib.sha512(LAYERS[0]).hexdigest()
    archive.images[0]["Config"] = "config"
    archive.members["config"] = json.dumps({"rootfs": {"diff_ids": [digest]}}).encode()
    async with DockerArchive(archive.write()) as source:
        assert len((await load_image(source)).blobs) == 2


async def test_images_are_chosen_by_their_tags(archive: Archive) -> None:
    first = archive.add(LAYERS[:1], ["app:1.0", "app:latest"])
    second = archive.add(LAYERS[1:2], ["ghcr.io/x/y:2"])
    archive.add(LAYERS[2:], None)
    path = archive.write()
    for reference, config in {
        "app:1.0": first,
        "app": first,
        "docker.io/library/app:1.0": first,
        "ghcr.io/x/y:2": second,
    }.items():
        async with DockerArchive(path, reference) as source:
            graph = await load_image(source)
            assert source.name == f"docker-archive:{path}:{reference}"
        assert graph.blobs[0].digest == digest_of(config)
    there = "app:1.0, app:latest, ghcr.io/x/y:2"
    prefix = f"docker-archive:{path}: manifest.json"
    assert await error_of(DockerArchive(path)) == f"{prefix} lists 3 images; choose one of {there}"
    assert await error_of(DockerArchive(path, "x")) == f"{prefix}: no image 'x'; there are {there}"


async def test_platforms_are_those_of_the_config(archive: Archive) -> None:
    archive.add(LAYERS[:1])
    async with DockerArchive(archive.write()) as source:
        assert len((await load_image(source, platforms=["linux/amd64"])).blobs) == 2


class TestRefused:
    async def test_neither_form(self, archive: Archive) -> None:
        archive.members["repositories"] = b"{}"
        path = archive.write()
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo("repositories"))
        assert await error_of(DockerArchive(path)) == (
            f"docker-archive:{path}: neither index.json and oci-layout nor manifest.json in it"
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"{}", "not a list of images"),
            (b"[]", "not a list of images"),
            (b"[1]", "entry 0 is a number, not an object"),
            (b"[{}]", "Config is missing"),
            (b'[{"Config": 1}]', "Config is a number, not text"),
            (b'[{"RepoTags": "app"}]', "RepoTags is the text 'app', not a list"),
            (b'[{"Config": "nothing"}]', "'nothing', which manifest.json names, is missing"),
            (b'[{"Config": "../../etc/passwd"}]', "entry '../../etc/passwd' points outside the archive"),
            (b'[{"Config": "/etc/passwd"}]', "entry '/etc/passwd' points outside the archive"),
            (b'[{"Config": "manifest.json"}]', "config: the document is a list, not an object"),
            (b"[" * 100_000, "nested too deeply"),
        ],
    )
    async def test_a_bad_manifest_file(self, archive: Archive, content: bytes, message: str) -> None:
        path = archive.write()
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("manifest.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        error = await error_of(DockerArchive(path))
        assert error.startswith(f"docker-archive:{path}: ")
        assert message in error

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (b"", "not valid JSON"),
            (b"{}", "has 0 rootfs.diff_ids, but manifest.json lists 1 layers"),
            (b'{"rootfs": []}', "rootfs is a list, not an object"),
            (b'{"rootfs": {"diff_ids": ["sha256:../x"]}}', "rootfs.diff_ids[0]: 'sha256:../x' is no digest"),
            (
                b'{"rootfs": {"diff_ids": ["' + digest_of(b"x").encode() + b'"]}}',
                "the content has the digest",
            ),
        ],
    )
    async def test_a_bad_config(self, archive: Archive, config: bytes, message: str) -> None:
        archive.add(LAYERS[:1])
        archive.images[0]["Config"] = "config"
        archive.members["config"] = config
        assert message in await error_of(DockerArchive(archive.write()))

    async def test_a_config_of_another_digest_than_its_name(self, archive: Archive) -> None:
        config = archive.add(LAYERS[:1])
        name = f"{digest_of(config)[7:]}.json"
        archive.members[name] = config + b" "
        path = archive.write()
        assert await error_of(DockerArchive(path)) == (
            f"docker-archive:{path}: config '{name}': the content has the digest "
            f"{digest_of(config + b' ')}, not {digest_of(config)}"
        )

    async def test_a_layer_of_another_content(self, archive: Archive) -> None:
        archive.add(LAYERS)
        name = f"{digest_of(LAYERS[1])[7:]}/layer.tar"
        for compress in (None, gzip.compress, zstd.compress, lzma.compress, bz2.compress):
            archive.members[name] = LAYERS[0] if compress is None else compress(LAYERS[0])
            path = archive.write()
            layer = digest_of(LAYERS[1]) if compress is None else f"'{name}'"
            assert await error_of(DockerArchive(path)) == (
                f"docker-archive:{path}: layer {layer}: the content has the digest "
                f"{digest_of(LAYERS[0])}, not {digest_of(LAYERS[1])}"
            )

    async def test_an_empty_layer(self, archive: Archive) -> None:
        archive.add(LAYERS)
        archive.members[f"{digest_of(LAYERS[1])[7:]}/layer.tar"] = b""
        assert f"blob {digest_of(LAYERS[1])} is empty" in await error_of(DockerArchive(archive.write()))

    async def test_a_missing_layer(self, archive: Archive) -> None:
        archive.add(LAYERS)
        name = f"{digest_of(LAYERS[1])[7:]}/layer.tar"
        del archive.members[name]
        assert f"'{name}', which manifest.json names, is missing" in await error_of(
            DockerArchive(archive.write())
        )

    async def test_a_layer_that_is_a_bomb(self, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "EXPANSION_FLOOR", 1024)
        archive.add(LAYERS[:1])
        bomb = zstd.compress(bytes(10_000_000))
        archive.members[f"{digest_of(LAYERS[0])[7:]}/layer.tar"] = bomb
        assert f"hold more than {1024 + 1100 * len(bomb)} bytes" in await error_of(
            DockerArchive(archive.write())
        )

    async def test_two_images_of_one_name(self, archive: Archive) -> None:
        archive.add(LAYERS[:1])
        archive.add(LAYERS[1:2])
        assert "2 images are called 'app:1.0'" in await error_of(DockerArchive(archive.write(), "app:1.0"))


async def test_nothing_is_left_of_a_cancelled_conversion(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(LAYERS)
    for name in archive.images[0]["Layers"]:  # type: ignore[attr-defined]
        archive.members[name] = gzip.compress(archive.members[name])
    path = archive.write()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    await assert_cancellable(DockerArchive(path), module, monkeypatch)
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_bad_layer_stops_the_others(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(LAYERS)
    path = archive.write()
    closed: list[bool] = []

    def store(layer: module._Layer, spool: Spool) -> module._Stored:
        if layer.diff_id == digest_of(LAYERS[1]):
            raise ImageError("bad")
        for _ in range(1000):
            if spool.file.closed:
                break
            time.sleep(0.01)
        closed.append(spool.file.closed)
        raise ImageError("stopped")

    monkeypatch.setattr(module, "_store", store)
    monkeypatch.setattr(module, "_WORKERS", 2)
    assert await error_of(DockerArchive(path)) == "bad"
    assert closed  # one or both: the third may have been stopped before it began
    assert all(closed)
