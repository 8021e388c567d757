"""Images made by umoci and skopeo, pushed from each kind of source, and read back by skopeo and umoci."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import push_image
from tests.interop.helpers import client_of, docker
from tests.support.docker_registry import docker_registry
from tests.support.oci import digest_of
from tests.support.tools import run, skopeo
from tests.support.umoci import FILES, layout_by_umoci

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aioecrpublic import PushResult
    from aioecrpublic.local import LocalECRPublic

pytestmark = pytest.mark.interop


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return layout_by_umoci(tmp_path / "umoci")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as host:
        yield host


async def push(server: LocalECRPublic, source: str) -> PushResult:
    async with client_of(server) as client:
        return await push_image(client, source, "team/app", ["1.0"], create_repository=True)


def inspected(image: str, *options: str) -> Any:
    return json.loads(skopeo("inspect", *options, image))


def copied(server: LocalECRPublic, target: str, *options: str) -> str:
    """Copy the image out of the registry with skopeo, which checks every digest."""
    skopeo("copy", *options, "--src-tls-verify=false", docker(server, "team/app:1.0"), target)
    return target


def assert_unpacks(layout: Path) -> None:
    """Hold that umoci finds the files in the image that it made itself."""
    bundle = layout.with_name("bundle")
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:1.0", str(bundle))
    for name, data in FILES.items():
        assert (bundle / "rootfs" / name).read_bytes() == data


async def assert_arrives_as_it_is(
    server: LocalECRPublic, source: str, original: str, directory: Path
) -> None:
    """Push `source`, and hold the image that skopeo gets from the registry against `original`."""
    result = await push(server, source)
    raw = skopeo("inspect", "--raw", original)
    there = inspected(docker(server, "team/app:1.0"), "--tls-verify=false")
    assert result.digest == there["Digest"] == digest_of(raw.encode())
    assert there["Layers"] == inspected(original)["Layers"]
    copy = copied(server, f"oci:{directory}/copy:1.0", "--preserve-digests")
    assert skopeo("inspect", "--raw", copy) == raw
    assert_unpacks(directory / "copy")


async def test_a_layout_by_umoci(server: LocalECRPublic, layout: Path, tmp_path: Path) -> None:
    await assert_arrives_as_it_is(server, f"oci:{layout}:1.0", f"oci:{layout}:1.0", tmp_path)


@pytest.mark.parametrize("compress", [None, "gzip", "zstd", "xz", "bzip2"])
async def test_an_archive_by_skopeo(
    server: LocalECRPublic, layout: Path, tmp_path: Path, compress: str | None
) -> None:
    path = tmp_path / "image.tar"
    original = f"oci-archive:{path}:1.0"
    skopeo("copy", f"oci:{layout}:1.0", original)
    if compress is not None:
        run(compress, "-q", "-k", str(path))
        (path,) = tmp_path.glob("image.tar.*")
    await assert_arrives_as_it_is(server, f"oci-archive:{path}:1.0", original, tmp_path)


async def test_a_directory_by_skopeo(server: LocalECRPublic, layout: Path, tmp_path: Path) -> None:
    skopeo("copy", f"oci:{layout}:1.0", f"dir:{tmp_path}/dir")
    await assert_arrives_as_it_is(server, f"dir:{tmp_path}/dir", f"dir:{tmp_path}/dir", tmp_path)


async def test_a_registry_that_skopeo_pushed_to(
    server: LocalECRPublic, registry: str, layout: Path, tmp_path: Path
) -> None:
    there = f"docker://{registry}/team/app:1.0"
    original = f"oci:{layout}:1.0"
    skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", original, there)
    await assert_arrives_as_it_is(server, there, original, tmp_path)


@pytest.mark.parametrize("compress", [None, "gzip", "zstd", "xz", "bzip2"])
async def test_a_docker_archive_by_skopeo(
    server: LocalECRPublic, layout: Path, tmp_path: Path, compress: str | None
) -> None:
    """Its layers are compressed on the way, so what has to agree is what is in them."""
    path = tmp_path / "image.tar"
    skopeo("copy", f"oci:{layout}:1.0", f"docker-archive:{path}:app:1.0")
    diff_ids = inspected(f"docker-archive:{path}:app:1.0", "--config")["rootfs"]["diff_ids"]
    if compress is not None:
        run(compress, "-q", "-k", str(path))
        (path,) = tmp_path.glob("image.tar.*")
    result = await push(server, f"docker-archive:{path}:app:1.0")
    copy = copied(server, f"dir:{tmp_path}/copy", "--preserve-digests")
    assert inspected(copy)["Digest"] == result.digest
    assert inspected(copy, "--config")["rootfs"]["diff_ids"] == diff_ids
    # umoci knows no manifests of Docker's.
    copied(server, f"oci:{tmp_path}/converted:1.0", "--format=oci")
    assert_unpacks(tmp_path / "converted")
