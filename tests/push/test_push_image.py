from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import push_image
from aioecrpublic.errors import RepositoryNotFoundException
from aioecrpublic.local import Fault, FaultKind
from aioecrpublic.push import patience
from tests.push.helpers import REPOSITORY, Wire, assert_is_there, connect, kinds, tags_of
from tests.support.oci import OCI_INDEX, Layer, LayoutBuilder, random_layer, write_image, write_index

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic._runtime.hooks import SendEvent
    from aioecrpublic.images import ImageSource
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent

MIB = 1024 * 1024


async def test_an_image_arrives_bit_for_bit(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=3, layer_size=300_000)
    result = await push_image(client, f"oci:{tmp_path}:1.0", REPOSITORY, ["1.0", "latest"])
    await assert_is_there(server, client, image, ["1.0", "latest"])
    assert result.digest == image.digest
    assert result.media_type == image.media_type
    assert result.tags == ("1.0", "latest")
    assert (result.layers_uploaded, result.layers_skipped) == (4, 0)
    config = len(image.read(image.config))
    assert (result.bytes_uploaded, result.bytes_skipped) == (900_000 + config, 0)
    assert result.repository_uri == "public.ecr.aws/local/team/app"
    assert result.image_uri == "public.ecr.aws/local/team/app:1.0"
    assert result.retries == 0
    assert result.elapsed > 0


async def test_layers_of_many_parts_arrive_bit_for_bit(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=2, layer_size=23 * MIB + 17)
    for number, part_size in enumerate((None, 5 * MIB, 7 * MIB + 1, 20 * MIB)):
        name = f"team/parts{number}"
        await push_image(client, str(tmp_path), name, ["1"], part_size=part_size, create_repository=True)
        await assert_is_there(server, client, image, ["1"], name)


@pytest.mark.parametrize("docker", [False, True])
async def test_an_index_arrives_whole_and_only_it_is_tagged(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, *, docker: bool
) -> None:
    platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
    image = write_index(tmp_path, platforms=platforms, shared_layers=2, own_layers=2, docker=docker)
    result = await push_image(client, str(tmp_path), REPOSITORY, ["multi"])
    await assert_is_there(server, client, image, ["multi"])
    assert result.digest == image.digest
    assert result.layers_uploaded == len(image.layers) + len(image.configs)


async def test_attestations_go_with_their_image(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_index(tmp_path, attestations=True)
    await push_image(client, str(tmp_path), REPOSITORY, ["attested"])
    await assert_is_there(server, client, image, ["attested"])


class SlowChild(Wire):
    """Holds the second manifest back."""

    async def before_send(self, event: SendEvent) -> None:
        await super().before_send(event)
        if event.operation == "PutImage" and self.count("PutImage") == 2:
            await asyncio.sleep(0.2)


async def test_a_manifest_that_is_a_layer_too(server: LocalECRPublic, tmp_path: Path) -> None:
    """Its upload as a layer must not count as its being put: the index would be put too early."""
    builder = LayoutBuilder(tmp_path)
    child = builder.image([random_layer(1000, 1)])
    carrier = builder.image([Layer(data=child.read(child.digest), diff_id=child.digest)])
    builder.tag(builder.index([carrier, child]), "1")
    wire = SlowChild()
    async with connect(server, hooks=[wire]) as client:
        await push_image(client, str(tmp_path), REPOSITORY, ["1"], create_repository=True)
        assert child.digest in await tags_of(client)
    assert wire.count("PutImage") == 3


async def test_one_platform_of_an_index(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    builder = LayoutBuilder(tmp_path)
    amd64 = builder.image([random_layer(1000, 1)])
    arm64 = builder.image([random_layer(1000, 2)], platform="linux/arm64")
    builder.tag(builder.index([amd64, arm64]), "1")
    result = await push_image(client, str(tmp_path), REPOSITORY, ["arm"], platforms=["linux/arm64"])
    there = await tags_of(client)
    assert arm64.digest in there
    assert amd64.digest not in there
    assert there[result.digest] == ["arm"]
    assert await server.read_blob(arm64.layers[0]) == arm64.read(arm64.layers[0])
    with pytest.raises(FileNotFoundError):
        await server.read_blob(amd64.layers[0])


async def test_an_index_of_indexes(server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path) -> None:
    builder = LayoutBuilder(tmp_path)
    inner = builder.index([builder.image([random_layer(1000, 1)]), builder.image([random_layer(1000, 2)])])
    outer = builder.tag(builder.index([inner, builder.image([random_layer(1000, 3)])]), "1")
    await push_image(client, str(tmp_path), REPOSITORY, ["nested"])
    await assert_is_there(server, client, outer, ["nested"])
    assert outer.media_type == OCI_INDEX


async def test_without_a_tag_an_image_is_known_by_its_digest(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path)
    result = await push_image(client, str(tmp_path), REPOSITORY)
    await assert_is_there(server, client, image)
    assert result.image_uri == f"public.ecr.aws/local/team/app@{image.digest}"


async def test_the_second_push_sends_no_layer(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_index(tmp_path)
    await push_image(client, str(tmp_path), REPOSITORY, ["1"])
    wire = Wire()
    events: list[PushEvent] = []
    result = await push_image(
        client.with_options(hooks=[wire]), str(tmp_path), REPOSITORY, ["1"], on_event=events.append
    )
    assert set(wire.sent) == {"BatchCheckLayerAvailability", "DescribeRepositories", "PutImage"}
    assert (result.layers_uploaded, result.bytes_uploaded) == (0, 0)
    assert result.layers_skipped == len(image.layers) + len(image.configs)
    assert kinds(events).count("LayerSkipped") == result.layers_skipped
    await assert_is_there(server, client, image, ["1"])


async def test_a_layer_that_occurs_twice_is_uploaded_once(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    builder = LayoutBuilder(tmp_path)
    layer = random_layer(1000, 1)
    image = builder.tag(builder.image([layer, random_layer(1000, 2), layer]), "1")
    wire = Wire()
    await push_image(client.with_options(hooks=[wire]), str(tmp_path), REPOSITORY, ["1"])
    assert wire.count("InitiateLayerUpload") == 3
    await assert_is_there(server, client, image, ["1"])


async def test_a_tag_moves_to_the_image_that_was_pushed_last(client: ECRPublicClient, tmp_path: Path) -> None:
    first = write_image(tmp_path / "first", seed=1)
    second = write_image(tmp_path / "second", seed=2)
    await push_image(client, str(first.directory), REPOSITORY, ["latest"])
    await push_image(client, str(second.directory), REPOSITORY, ["latest"])
    assert await tags_of(client) == {first.digest: [], second.digest: ["latest"]}


async def test_more_layers_than_one_check_takes(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=250, layer_size=10)
    wire = Wire()
    await push_image(client.with_options(hooks=[wire]), str(tmp_path), REPOSITORY, ["1"], jobs=16)
    assert wire.count("BatchCheckLayerAvailability") == 3
    await assert_is_there(server, client, image, ["1"])


async def test_the_repository_is_made_if_asked_for(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path)
    for _ in range(2):
        await push_image(client, str(tmp_path), "new/one", ["1"], create_repository=True)
    await assert_is_there(server, client, image, ["1"], "new/one")


async def test_a_missing_repository_is_an_error_of_its_own(client: ECRPublicClient, tmp_path: Path) -> None:
    write_image(tmp_path)
    with pytest.raises(RepositoryNotFoundException, match="no/where"):
        await push_image(client, str(tmp_path), "no/where", ["1"])


async def test_every_kind_of_source_gives_the_same_image(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    from aioecrpublic.images import OCIArchive, OCILayout
    from tests.support.oci import tar_layout

    image = write_image(tmp_path / "layout", layer_size=50_000)
    archive = tar_layout(image.directory, tmp_path / "image.tar")
    sources: list[ImageSource | str | Path] = [
        f"oci:{image.directory}",
        f"oci-archive:{archive}",
        str(archive),
        image.directory,
        OCILayout(image.directory),
        OCIArchive(archive),
    ]
    for number, source in enumerate(sources):
        name = f"source/n{number}"
        result = await push_image(client, source, name, ["1"], create_repository=True)
        assert result.layers_uploaded == 3
        await assert_is_there(server, client, image, ["1"], name)


async def test_a_source_that_was_entered_before_stays_open(client: ECRPublicClient, tmp_path: Path) -> None:
    from aioecrpublic.images import OCILayout

    image = write_image(tmp_path)
    async with OCILayout(tmp_path) as source:
        await push_image(client, source, REPOSITORY, ["1"])
        root = await source.open()
        assert await source.read_manifest(root) == image.read(image.digest)


async def test_a_repository_whose_uri_cannot_be_found_out_is_pushed_to(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.0)
    image = write_image(tmp_path)
    server.inject(Fault(kind=FaultKind.ERROR, operation="DescribeRepositories", times=100))
    result = await push_image(client.with_options(max_attempts=1), str(tmp_path), REPOSITORY, ["1"])
    assert (result.repository_uri, result.image_uri) == (None, None)
    await assert_is_there(server, client, image, ["1"])


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.CUT])
@pytest.mark.parametrize("operation", ["CreateRepository", "PutImage", "CompleteLayerUpload"])
@pytest.mark.parametrize("attempts", [1, 3])
async def test_what_was_done_though_its_reply_was_lost_is_no_failure(
    server: LocalECRPublic,
    client: ECRPublicClient,
    tmp_path: Path,
    kind: FaultKind,
    operation: str,
    attempts: int,
) -> None:
    image = write_image(tmp_path)
    server.inject(Fault(kind=kind, operation=operation, times=2))
    result = await push_image(
        client.with_options(max_attempts=attempts), str(tmp_path), "team/new", ["1"], create_repository=True
    )
    assert (result.layers_uploaded, result.layers_skipped) == (3, 0)
    assert result.retries == 2
    await assert_is_there(server, client, image, ["1"], "team/new")
