"""Images written by tools that are not ours, read here, and compared with what those tools say of them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import load_image, open_image
from tests.images.helpers import read_blob
from tests.support.oci import OCI_LAYER, digest_of, random_bytes, write_image, write_index
from tests.support.tools import run, skopeo
from tests.support.umoci import FILES, layout_by_umoci

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.images import ImageGraph

pytestmark = pytest.mark.interop


async def read_all(source: str, *, compress: bool | None = None) -> tuple[ImageGraph, dict[str, bytes]]:
    """Return the graph and every blob, the digests of which are checked."""
    async with open_image(source, compress=compress) as opened:
        graph = await load_image(opened)
        blobs = {blob.digest: await read_blob(opened, blob, 100_000) for blob in graph.blobs}
    for digest, data in blobs.items():
        assert digest_of(data) == digest
    return graph, blobs


def layers_by_skopeo(source: str) -> list[str]:
    layers = json.loads(skopeo("inspect", source))["Layers"]
    assert isinstance(layers, list)
    return layers


async def assert_same_as_skopeo(source: str) -> tuple[ImageGraph, dict[str, bytes]]:
    graph, blobs = await read_all(source)
    assert graph.root.raw.decode() == skopeo("inspect", "--raw", source)
    assert [blob.digest for blob in graph.root.blobs[1:]] == layers_by_skopeo(source)
    return graph, blobs


@pytest.fixture
def image_by_umoci(tmp_path: Path) -> Path:
    return layout_by_umoci(tmp_path / "umoci")


@pytest.fixture
def image_by_umoci_repacked(image_by_umoci: Path, tmp_path: Path) -> Path:
    """Return the layout after a change to the unpacked root file system."""
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--rootless", "--image", f"{image_by_umoci}:1.0", str(bundle))
    (bundle / "rootfs" / "added").write_bytes(random_bytes(1000))
    (bundle / "rootfs" / "file0").unlink()
    run("umoci", "repack", "--image", f"{image_by_umoci}:2.0", str(bundle))
    return image_by_umoci


async def test_layouts_by_umoci(image_by_umoci: Path) -> None:
    graph, blobs = await assert_same_as_skopeo(f"oci:{image_by_umoci}:1.0")
    assert "mediaType" not in json.loads(graph.root.raw), "which is what this test is about"
    assert len(blobs) == 4
    stat = json.loads(run("umoci", "stat", "--json", "--image", f"{image_by_umoci}:1.0"))
    with_layer = [entry["layer"]["digest"] for entry in stat["history"] if entry["layer"]]
    assert [blob.digest for blob in graph.blobs[1:]] == with_layer


async def test_layouts_repacked_by_umoci(image_by_umoci_repacked: Path) -> None:
    for reference, count in {"1.0": 4, "2.0": 5}.items():
        _, blobs = await assert_same_as_skopeo(f"oci:{image_by_umoci_repacked}:{reference}")
        assert len(blobs) == count


async def test_an_empty_image_by_umoci(tmp_path: Path) -> None:
    run("umoci", "init", "--layout", str(tmp_path / "layout"))
    run("umoci", "new", "--image", f"{tmp_path}/layout:empty")
    graph, _ = await read_all(f"{tmp_path}/layout:empty")
    assert len(graph.blobs) == 1


@pytest.mark.parametrize(
    "options", [[], ["--dest-compress-format", "zstd", "--dest-oci-accept-uncompressed-layers"]]
)
async def test_layouts_and_archives_by_skopeo(
    image_by_umoci: Path, tmp_path: Path, options: list[str]
) -> None:
    skopeo("copy", *options, f"oci:{image_by_umoci}:1.0", f"oci:{tmp_path}/copy:tag")
    layout, blobs = await assert_same_as_skopeo(f"oci:{tmp_path}/copy:tag")
    skopeo("copy", f"oci:{tmp_path}/copy:tag", f"oci-archive:{tmp_path}/copy.tar:tag")
    archive, blobs_of_archive = await assert_same_as_skopeo(f"oci-archive:{tmp_path}/copy.tar:tag")
    assert archive.root.raw == layout.root.raw
    assert blobs_of_archive == blobs


async def test_zstd_layers_by_skopeo(tmp_path: Path) -> None:
    write_image(tmp_path / "layout", real_layers=True, layer_size=20_000)
    skopeo(
        "copy",
        "--dest-compress-format=zstd",
        "--dest-compress",
        f"oci:{tmp_path}/layout:1.0",
        f"dir:{tmp_path}/dir",
    )
    skopeo("copy", f"dir:{tmp_path}/dir", f"oci:{tmp_path}/copy:1.0")
    graph, _ = await assert_same_as_skopeo(f"oci:{tmp_path}/copy:1.0")
    assert graph.root.raw


async def test_an_index_copied_by_skopeo(tmp_path: Path) -> None:
    image = write_index(tmp_path / "layout", real_layers=True, layer_size=20_000)
    for target in (
        f"oci:{tmp_path}/copy:all",
        f"oci-archive:{tmp_path}/copy.tar:all",
        f"dir:{tmp_path}/directory",
    ):
        skopeo("copy", "--all", f"oci:{image.directory}:1.0", target)
        graph, blobs = await read_all(target)
        assert graph.root.descriptor.digest == image.digest
        assert set(blobs) == {*image.layers, *image.configs}


async def test_docker_archives_by_skopeo(image_by_umoci: Path, tmp_path: Path) -> None:
    path = tmp_path / "docker.tar"
    skopeo("copy", f"oci:{image_by_umoci}:1.0", f"docker-archive:{path}:app:1.0")
    listing = run("tar", "tvf", str(path))
    assert "layer.tar -> ../" in listing, "links, which is what this test is about"
    plain, blobs_of_plain = await read_all(f"docker-archive:{path}:app:1.0")
    # skopeo lists the uncompressed layers that are in the archive.
    unpacked = [digest_of(gzip.decompress(blobs_of_plain[blob.digest])) for blob in plain.blobs[1:]]
    assert unpacked == layers_by_skopeo(f"docker-archive:{path}:app:1.0")
    for compress in (["gzip", "-k"], ["zstd", "-q"], ["xz", "-k", "-1"], ["bzip2", "-k"]):
        run(*compress, str(path))
    for suffix in (".gz", ".zst", ".xz", ".bz2"):
        graph, blobs = await read_all(f"docker-archive:{path}{suffix}")
        assert graph.root.raw == plain.root.raw
        assert blobs == blobs_of_plain


async def test_skopeo_reads_the_image_made_of_a_docker_archive(image_by_umoci: Path, tmp_path: Path) -> None:
    """What is presented for a docker-archive is written as a `dir:` image, which skopeo takes apart again."""
    skopeo("copy", f"oci:{image_by_umoci}:1.0", f"docker-archive:{tmp_path}/docker.tar:app:1.0")
    graph, blobs = await read_all(f"docker-archive:{tmp_path}/docker.tar")
    assert_unpacks(graph, blobs, tmp_path)


async def test_skopeo_reads_an_image_whose_layers_were_compressed(
    image_by_umoci: Path, tmp_path: Path
) -> None:
    skopeo("copy", "--dest-decompress", f"oci:{image_by_umoci}:1.0", f"dir:{tmp_path}/plain")
    plain, plain_blobs = await read_all(f"dir:{tmp_path}/plain")
    assert {blob.media_type for blob in plain.blobs[1:]} == {OCI_LAYER}
    graph, blobs = await read_all(f"dir:{tmp_path}/plain", compress=True)
    assert [gzip.decompress(blobs[blob.digest]) for blob in graph.blobs[1:]] == [
        plain_blobs[blob.digest] for blob in plain.blobs[1:]
    ]
    assert_unpacks(graph, blobs, tmp_path)


def assert_unpacks(graph: ImageGraph, blobs: dict[str, bytes], tmp_path: Path) -> None:
    """Write an image for skopeo, and hold what umoci unpacks of it against what it was made of."""
    directory = tmp_path / "dir"
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(graph.root.raw)
    for digest, data in blobs.items():
        (directory / digest.removeprefix("sha256:")).write_bytes(data)
    skopeo("copy", f"dir:{directory}", f"oci:{tmp_path}/back:1.0")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/back:1.0", str(tmp_path / "bundle"))
    for name, data in FILES.items():
        assert (tmp_path / "bundle/rootfs" / name).read_bytes() == data


async def test_several_images_in_one_docker_archive_by_skopeo(image_by_umoci: Path, tmp_path: Path) -> None:
    """Tags beyond the first are given by `--additional-tag`, as one image with several names."""
    path = tmp_path / "docker.tar"
    skopeo(
        "copy",
        "--additional-tag=app:latest",
        f"oci:{image_by_umoci}:1.0",
        f"docker-archive:{path}:app:1.0",
    )
    first, _ = await read_all(f"docker-archive:{path}:app:1.0")
    second, _ = await read_all(f"docker-archive:{path}:app")
    assert first.root.raw == second.root.raw
