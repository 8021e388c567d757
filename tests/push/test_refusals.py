from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ConfigurationError, ImageError, ValidationError, push_image, upload_layer
from aioecrpublic.images import OCILayout
from aioecrpublic.push import LayerStarted
from tests.push.helpers import REPOSITORY, Wire, assert_nothing_is_open, tags_of
from tests.support.oci import (
    OCI_MANIFEST,
    LayoutBuilder,
    digest_of,
    encode,
    random_layer,
    write_image,
    write_index,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from tests.support.oci import BuiltImage

MIB = 1024 * 1024


async def _refused(client: ECRPublicClient, path: Path, match: str) -> None:
    with pytest.raises(ImageError, match=match):
        await push_image(client, str(path), REPOSITORY, ["1", "2"])
    assert await tags_of(client) == {}
    await assert_nothing_is_open(path)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


async def test_a_missing_blob(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path)
    image.path(image.layers[1]).unlink()
    await _refused(client, tmp_path, f"{image.layers[1]} is missing")


async def test_a_blob_of_another_size(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path)
    image.path(image.layers[0]).write_bytes(b"short")
    await _refused(client, tmp_path, f"{image.layers[0]} has 5 bytes")


@pytest.mark.parametrize("size", [1000, 11 * MIB])
async def test_a_blob_of_another_digest(client: ECRPublicClient, tmp_path: Path, size: int) -> None:
    image = write_image(tmp_path, layers=3, layer_size=size)
    _flip(image.path(image.layers[1]))
    await _refused(client, tmp_path, f"{image.layers[1]}: its bytes have the digest")


async def test_a_config_of_another_digest(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path)
    _flip(image.path(image.config))
    await _refused(client, tmp_path, image.config)


@pytest.mark.parametrize("number", range(4))
async def test_one_wrong_layer_in_a_child_of_an_index(
    client: ECRPublicClient, tmp_path: Path, number: int
) -> None:
    image = write_index(
        tmp_path, platforms=["linux/amd64", "linux/arm64", "linux/riscv64"], layer_size=7 * MIB
    )
    _flip(image.path(image.layers[number]))
    await _refused(client, tmp_path, image.layers[number])


async def test_an_empty_blob(client: ECRPublicClient, tmp_path: Path) -> None:
    builder = LayoutBuilder(tmp_path)
    builder.tag(builder.image([random_layer(0)]), "1")
    await _refused(client, tmp_path, f"{digest_of(b'')}.* empty")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda document: document.update(layers={}),
        lambda document: document.update(config=None),
        lambda document: document["layers"][0].pop("digest"),
        lambda document: document["layers"][0].update(size=-1),
        lambda document: document["layers"][0].update(digest="sha256:../../../etc/passwd"),
        lambda document: document["layers"][0].update(digest="md5:" + "0" * 32),
        lambda document: document.update(schemaVersion=1),
    ],
)
async def test_a_malformed_manifest(
    client: ECRPublicClient, tmp_path: Path, break_it: Callable[[Any], object]
) -> None:
    builder = LayoutBuilder(tmp_path)
    document = json.loads((image := write_image(tmp_path, tag=None)).read(image.digest))
    break_it(document)
    broken = builder.descriptor(encode(document), OCI_MANIFEST)
    builder.tag(_as(image, broken), "broken")
    with pytest.raises(ImageError, match=str(broken["digest"])):
        await push_image(client, f"oci:{tmp_path}:broken", REPOSITORY, ["1"])
    assert await tags_of(client) == {}


def _as(image: BuiltImage, descriptor: Any) -> BuiltImage:
    import attrs

    return attrs.evolve(image, descriptor=descriptor)


async def test_a_manifest_that_is_no_json(client: ECRPublicClient, tmp_path: Path) -> None:
    builder = LayoutBuilder(tmp_path)
    image = write_image(tmp_path, tag=None)
    broken = builder.descriptor(b"{ no json", OCI_MANIFEST)
    builder.tag(_as(image, broken), "broken")
    with pytest.raises(ImageError, match=str(broken["digest"])):
        await push_image(client, f"oci:{tmp_path}:broken", REPOSITORY, ["1"])
    assert await tags_of(client) == {}


async def test_a_blob_that_changes_while_it_is_pushed(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path, layers=1, layer_size=16 * MIB)

    def change(event: object) -> None:
        if isinstance(event, LayerStarted) and event.digest == image.layers[0]:
            _flip(image.path(image.layers[0]))

    with pytest.raises(ImageError, match=image.layers[0]):
        await push_image(client, str(tmp_path), REPOSITORY, ["1"], on_event=change)
    assert await tags_of(client) == {}


async def test_what_is_no_image(client: ECRPublicClient, tmp_path: Path) -> None:
    wire = Wire()
    client = client.with_options(hooks=[wire])
    for source in (str(tmp_path / "nothing"), f"oci:{tmp_path}", "dir:/somewhere", "", OCILayout(tmp_path)):
        with pytest.raises(ImageError):
            await push_image(client, source, REPOSITORY, ["1"])
    assert wire.sent == []


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"jobs": 0}, ConfigurationError, "jobs"),
        ({"jobs": True}, ConfigurationError, "jobs"),
        ({"part_size": 1}, ConfigurationError, "part_size"),
        ({"part_size": 21 * MIB}, ConfigurationError, "part_size"),
        ({"memory_budget": MIB}, ConfigurationError, "memory_budget"),
        ({"memory_budget": 6 * MIB, "part_size": 7 * MIB}, ConfigurationError, "memory_budget"),
        ({"tags": "1.0"}, ValidationError, "tags is str"),
        ({"tags": ["fine", "not fine"]}, ValidationError, r"tags\[1\] 'not fine'"),
        ({"tags": ["-x"]}, ValidationError, "-x"),
        ({"tags": ["x" * 129]}, ValidationError, "at most 128"),
        ({"tags": [""]}, ValidationError, "tags"),
        ({"repository_name": "Upper"}, ValidationError, "repository_name 'Upper'"),
        ({"repository_name": "public.ecr.aws/a/team/app:1"}, ValidationError, "image URI"),
        ({"repository_name": "public.ecr.aws/a/team/app"}, ValidationError, "name is 'team/app'"),
        ({"platforms": ["linux/"]}, ImageError, "linux/"),
        ({"platforms": ["linux/s390x"]}, ImageError, "linux/s390x"),
    ],
)
async def test_arguments_are_refused_before_anything_is_sent(
    client: ECRPublicClient, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    write_index(tmp_path)
    wire = Wire()
    given = {"repository_name": REPOSITORY, "tags": ["1"], **arguments}
    with pytest.raises(error, match=match):
        await push_image(client.with_options(hooks=[wire]), str(tmp_path), **given)
    assert wire.sent == []


async def test_single_layers_that_cannot_be(client: ECRPublicClient, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="empty"):
        await upload_layer(client, REPOSITORY, b"")
    with pytest.raises(ImageError, match="nowhere"):
        await upload_layer(client, REPOSITORY, tmp_path / "nowhere")
    with pytest.raises(ImageError, match="its bytes have the digest"):
        await upload_layer(client, REPOSITORY, b"content", digest=digest_of(b"other"))
    for digest in ("sha256:../../x", "md5:abc", "sha256:ABC", ""):
        with pytest.raises(ImageError, match="digest"):
            await upload_layer(client, REPOSITORY, b"content", digest=digest)
    with pytest.raises(ValidationError, match="repository_name"):
        await upload_layer(client, "Upper", b"content")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("part_size", "5"),
        ("part_size", True),
        ("memory_budget", "64 MiB"),
        ("memory_budget", -1),
        ("on_event", "print"),
        ("journal", 5),
        ("platforms", "linux/amd64"),
        ("platforms", 5),
        ("tags", "1.0"),
        ("jobs", 2.5),
        ("source", 5),
        ("repository_name", None),
    ],
)
async def test_arguments_of_a_wrong_kind_are_named_before_anything_is_sent(
    client: ECRPublicClient, tmp_path: Path, argument: str, value: object
) -> None:
    write_image(tmp_path)
    wire = Wire()
    arguments: dict[str, Any] = {"source": str(tmp_path), "repository_name": REPOSITORY, argument: value}
    with pytest.raises((ConfigurationError, ValidationError), match=argument):
        await push_image(client.with_options(hooks=[wire]), **arguments)
    assert wire.sent == []


@pytest.mark.parametrize("blob", [5, None, ["bytes"]])
async def test_what_is_no_blob_is_refused(client: ECRPublicClient, blob: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^blob must be bytes, a BlobReader or a path"):
        await upload_layer(client, REPOSITORY, blob)
