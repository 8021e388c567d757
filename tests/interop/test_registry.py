"""skopeo and umoci, as they are, against the v2 side of the local registry."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import push_image
from tests.interop.helpers import client_of, docker
from tests.support.oci import LayoutBuilder, digest_of, tar_layer, write_image, write_index
from tests.support.tools import run, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.local import LocalECRPublic

pytestmark = pytest.mark.interop


async def login(server: LocalECRPublic) -> str:
    """What ``docker login`` would be given: ``AWS:password``."""
    async with client_of(server) as client:
        await client.create_repository(repository_name="team/app")
        answer = await client.get_authorization_token()
    assert answer.authorization_data is not None
    return base64.b64decode(answer.authorization_data.authorization_token or "").decode()


async def test_skopeo_copies_in_and_out(server: LocalECRPublic, tmp_path: Path) -> None:
    image = write_image(tmp_path / "in", tag="1.0", layers=3, layer_size=50_000, real_layers=True)
    who = await login(server)
    there = docker(server, "team/app:1.0")
    skopeo(
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        "--dest-creds",
        who,
        f"oci:{tmp_path}/in:1.0",
        there,
    )
    skopeo("copy", "--preserve-digests", "--src-tls-verify=false", there, f"oci:{tmp_path}/out:1.0")
    found = json.loads(skopeo("inspect", "--tls-verify=false", there))
    assert found["Digest"] == image.digest
    assert found["Layers"] == list(image.layers)
    for digest in (image.digest, image.config, *image.layers):
        name = digest.removeprefix("sha256:")
        assert (tmp_path / "out" / "blobs" / "sha256" / name).read_bytes() == image.read(digest)
    async with client_of(server) as client:
        described = await client.describe_images(repository_name="team/app")
        (detail,) = described.image_details
        assert (detail.image_digest, detail.image_tags) == (image.digest, ["1.0"])
        checked = await client.batch_check_layer_availability(
            repository_name="team/app", layer_digests=[image.config, *image.layers]
        )
    assert {layer.layer_availability for layer in checked.layers} == {"AVAILABLE"}


async def test_skopeo_pulls_what_was_pushed_by_the_api(server: LocalECRPublic, tmp_path: Path) -> None:
    index = write_index(
        tmp_path / "in", tag="1.0", platforms=["linux/amd64", "linux/arm64"], real_layers=True
    )
    async with client_of(server) as client:
        await push_image(
            client, f"oci:{tmp_path}/in:1.0", "team/app", ["1.0", "latest"], create_repository=True
        )
    tags = json.loads(skopeo("list-tags", "--tls-verify=false", docker(server, "team/app")))
    assert tags["Tags"] == ["1.0", "latest"]
    there = docker(server, "team/app:1.0")
    skopeo("copy", "--preserve-digests", "--all", "--src-tls-verify=false", there, f"oci:{tmp_path}/out:1.0")
    raw = skopeo("inspect", "--raw", "--tls-verify=false", there)
    assert digest_of(raw.encode()) == index.digest
    for digest in (*index.manifests, *index.configs, *index.layers):
        name = digest.removeprefix("sha256:")
        assert (tmp_path / "out" / "blobs" / "sha256" / name).read_bytes() == index.read(digest)


async def test_skopeo_copies_a_whole_index_in(server: LocalECRPublic, tmp_path: Path) -> None:
    index = write_index(
        tmp_path / "in", tag="1.0", platforms=["linux/amd64", "linux/arm64"], real_layers=True
    )
    who = await login(server)
    there = docker(server, "team/app:1.0")
    skopeo(
        "copy",
        "--preserve-digests",
        "--all",
        "--dest-tls-verify=false",
        "--dest-creds",
        who,
        f"oci:{tmp_path}/in:1.0",
        there,
    )
    async with client_of(server) as client:
        details = (await client.describe_images(repository_name="team/app")).image_details
    assert {detail.image_digest for detail in details} == set(index.manifests)


async def test_skopeo_may_not_push_unless_it_logs_in(server: LocalECRPublic, tmp_path: Path) -> None:
    write_image(tmp_path / "in", tag="1.0", layers=1)
    await login(server)
    with pytest.raises(pytest.fail.Exception, match=r"(?i)unauthorized|not authorized"):
        skopeo(
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            f"oci:{tmp_path}/in:1.0",
            docker(server, "team/app:1.0"),
        )


async def test_umoci_unpacks_the_same_tree(server: LocalECRPublic, tmp_path: Path) -> None:
    files = {"etc/motd": b"hello\n", "usr/bin/tool": bytes(range(256)) * 100}
    builder = LayoutBuilder(tmp_path / "in")
    image = builder.image([tar_layer(files)])
    builder.tag(image, "1.0")
    async with client_of(server) as client:
        await push_image(client, f"oci:{tmp_path}/in:1.0", "team/app", ["1.0"], create_repository=True)
    skopeo(
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        docker(server, "team/app:1.0"),
        f"oci:{tmp_path}/out:1.0",
    )
    trees = []
    for name in ("in", "out"):
        bundle = tmp_path / f"bundle-{name}"
        run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/{name}:1.0", str(bundle))
        root = bundle / "rootfs"
        trees.append(
            {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        )
    assert trees == [files, files]
