"""Copying from Debian's docker-registry into the local ECR Public."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from aiohttp import ClientSession, web

from aioecrpublic.errors import ConfigurationError, ImageError
from aioecrpublic.images import RegistryCredentials, RegistryImage
from aioecrpublic.push import ImageJob, LayerResumed, copy_image, push_images
from aioecrpublic.push.budget import MIB, MemoryBudget
from tests.push.helpers import REPOSITORY, Wire, assert_is_there, assert_nothing_runs, connect, tags_of
from tests.support.docker_registry import PASSWORD, USERNAME, docker_registry
from tests.support.oci import BuiltImage, LayoutBuilder, digest_of, random_layer, write_image, write_index
from tests.support.tools import skopeo
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic._runtime.hooks import SendEvent
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent

pytestmark = pytest.mark.interop

UPLOADING = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def publish(
    image: BuiltImage, target: str, *options: str, reference: str = "1.0", exact: bool = True
) -> None:
    """Push an image with skopeo."""
    source = f"oci:{image.directory}:{reference}"
    given = (*options, "--preserve-digests" if exact else "--format=v2s2")
    skopeo("copy", "--all", "--dest-tls-verify=false", *given, source, f"docker://{target}")


async def publish_index(image: BuiltImage, repository: str, tag: str) -> None:
    """Put an index of what is there; skopeo does not put indexes of artifacts."""
    host, _, name = repository.partition("/")
    async with (
        ClientSession() as session,
        session.put(
            f"http://{host}/v2/{name}/manifests/{tag}",
            data=image.read(image.digest),
            headers={"Content-Type": image.media_type},
        ) as reply,
    ):
        assert reply.status == 201, await reply.text()


@attrs.define
class Passing:
    """A proxy in front of a registry, which notes what is asked for and breaks blobs off.

    Attributes:
        host: Where it listens.
        asked: Method and path of each request.
        breaks: The bytes of blobs after which connections break, one after the other.
    """

    host: str = ""
    asked: list[tuple[str, str]] = attrs.field(factory=list)
    breaks: list[int] = attrs.field(factory=list)

    def blobs_read(self) -> list[str]:
        return [
            path.rpartition("/")[2] for method, path in self.asked if method == "GET" and "/blobs/" in path
        ]


@pytest.fixture
async def passing(registry: str) -> AsyncIterator[Passing]:
    state = Passing()

    async def answer(request: web.Request) -> web.StreamResponse:
        state.asked.append((request.method, request.path))
        headers = {name: request.headers[name] for name in ("Accept", "Range") if name in request.headers}
        upstream = session.request(request.method, f"http://{registry}{request.raw_path}", headers=headers)
        async with upstream as reply:
            kept = ("Content-Type", "Content-Length", "Content-Range", "Docker-Content-Digest")
            response = web.StreamResponse(
                status=reply.status,
                headers={name: reply.headers[name] for name in kept if name in reply.headers},
            )
            await response.prepare(request)
            breaks = request.method == "GET" and "/blobs/" in request.path and state.breaks
            left = state.breaks.pop(0) if breaks else None
            async for chunk in reply.content.iter_chunked(65536):
                await response.write(chunk[:left])
                if left is not None and (left := left - len(chunk)) <= 0:
                    assert request.transport is not None
                    request.transport.abort()
                    break
            return response

    async with ClientSession() as session, serving(answer) as state.host:
        yield state


@pytest.mark.parametrize("kind", ["oci", "docker", "index"])
async def test_an_image_arrives_byte_for_byte_and_only_once(
    kind: str, registry: str, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    write = write_index if kind == "index" else write_image
    image = write(tmp_path / "image", real_layers=True, layer_size=50_000)
    publish(
        image, f"{registry}/copy/{kind}:1.0", "--format=v2s2" if kind == "docker" else "--preserve-digests"
    )
    source = f"docker://{registry}/copy/{kind}:1.0"
    wire = Wire()
    async with connect(server, hooks=[wire]) as watched:
        tasks = asyncio.all_tasks()
        first = await copy_image(watched, source, REPOSITORY)
        await assert_nothing_runs(tasks)
        raw = skopeo("inspect", "--raw", "--tls-verify=false", source).encode()
        assert first.digest == digest_of(raw)
        assert await server.read_manifest(REPOSITORY, first.digest) == raw
        assert first.layers_uploaded == len(image.layers) + len(image.configs)
        if kind != "docker":
            await assert_is_there(server, client, image, ["1.0"])
        wire.sent.clear()
        again = await copy_image(watched, source, REPOSITORY)
    assert (again.digest, again.layers_uploaded, again.bytes_uploaded) == (first.digest, 0, 0)
    assert not set(UPLOADING) & set(wire.sent)


async def test_only_lacking_layers_are_read(
    registry: str, passing: Passing, client: ECRPublicClient, tmp_path: Path
) -> None:
    old = write_image(tmp_path / "image", layers=2, tag="1.0")
    new = write_image(tmp_path / "image", layers=3, tag="2.0")
    for tag in ("1.0", "2.0"):
        publish(new, f"{registry}/copy/lacking:{tag}", reference=tag)
    await copy_image(client, f"docker://{passing.host}/copy/lacking:1.0", REPOSITORY)
    passing.asked.clear()
    result = await copy_image(
        client, f"docker://{passing.host}/copy/lacking:2.0", REPOSITORY, ["2.0", "latest"]
    )
    lacking = {*new.layers, *new.configs} - {*old.layers, *old.configs}
    assert sorted(passing.blobs_read()) == sorted(lacking)
    assert result.layers_uploaded == len(lacking) == 2
    assert await tags_of(client) == {old.digest: ["1.0"], new.digest: ["2.0", "latest"]}


async def test_tags(registry: str, client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image")
    publish(image, f"{registry}/copy/tags:1.0")
    for source, tags, expected in (
        (f"docker://{registry}/copy/tags@{image.digest}", None, []),
        (f"docker://{registry}/copy/tags:1.0", [], []),
        (f"docker://{registry}/copy/tags:1.0", None, ["1.0"]),
    ):
        result = await copy_image(client, source, REPOSITORY, tags)
        assert list(result.tags) == expected
        assert await tags_of(client) == {image.digest: expected}


async def test_platforms(
    registry: str, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_index(tmp_path / "image", platforms=("linux/amd64", "linux/arm64", "linux/s390x"))
    publish(image, f"{registry}/copy/platforms:1.0")
    result = await copy_image(
        client, f"docker://{registry}/copy/platforms:1.0", REPOSITORY, platforms=["linux/arm64"]
    )
    assert result.digest == image.manifests[1]
    assert await tags_of(client) == {image.manifests[1]: ["1.0"]}


async def test_a_registry_that_asks_for_a_password(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image")
    with docker_registry(tmp_path / "registry", htpasswd=True) as host:
        publish(image, f"{host}/team/app:1.0", f"--dest-creds={USERNAME}:{PASSWORD}")
        credentials = RegistryCredentials(username=USERNAME, password=PASSWORD)
        source = RegistryImage(f"{host}/team/app:1.0", credentials=credentials)
        assert (await copy_image(client, source, REPOSITORY)).digest == image.digest
        with pytest.raises(ImageError, match="user name and password"):
            await copy_image(client, RegistryImage(f"{host}/team/app:1.0", anonymous=True), REPOSITORY)


async def test_a_source_that_breaks_off_goes_on(
    registry: str, passing: Passing, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", layers=2, layer_size=3_000_000)
    publish(image, f"{registry}/copy/broken:1.0")
    passing.breaks = [100_000, 200_000, 2_999_999, 10]
    result = await copy_image(client, f"docker://{passing.host}/copy/broken:1.0", REPOSITORY)
    assert not passing.breaks
    assert result.layers_uploaded == 3
    await assert_is_there(server, client, image, ["1.0"])


async def test_a_copy_that_died_goes_on_in_the_middle_of_its_layer(
    registry: str, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", layers=1, layer_size=16 * MIB)
    publish(image, f"{registry}/copy/died:1.0")
    source = f"docker://{registry}/copy/died:1.0"
    options: dict[str, Any] = {"journal": tmp_path / "journal", "part_size": 5 * MIB}

    class Death(Wire):
        async def before_send(self, event: SendEvent) -> None:
            await super().before_send(event)
            # The layer's first part is there by then, whenever the config's only one leaves.
            if self.count("UploadLayerPart") == 3:
                copying.cancel()

    async with connect(server, hooks=[Death()]) as dying:
        copying = asyncio.ensure_future(copy_image(dying, source, REPOSITORY, **options))
        with pytest.raises(asyncio.CancelledError):
            await copying
    events: list[PushEvent] = []
    await copy_image(client, source, REPOSITORY, on_event=events.append, **options)
    # The config's reply may have been on its way too.
    resumed = {event.digest: event.bytes_confirmed for event in events if isinstance(event, LayerResumed)}
    assert resumed[image.layers[0]] >= 5 * MIB
    assert not (tmp_path / "journal").exists()
    await assert_is_there(server, client, image, ["1.0"])


async def test_referrers_and_cosign_tags_come_along_on_request(
    registry: str, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    builder = LayoutBuilder(tmp_path / "image")
    image = write_index(tmp_path / "image")
    child = next(entry for entry in json.loads(image.read(image.digest))["manifests"])
    subject = attrs.evolve(image, digest=child["digest"], descriptor=child)
    sbom = builder.artifact(subject, b"sbom", "application/spdx+json")
    signature = builder.image([random_layer(100, 7)])
    signed = f"{image.digest.replace(':', '-')}.sig"
    repository = f"{registry}/copy/attached"
    publish(image, f"{repository}:1.0")
    for part, tag in ((signature, signed), (sbom, "sbom")):
        builder.tag(part, tag)
        publish(part, f"{repository}:{tag}", reference=tag)
    # docker-registry has no referrers API: what refers to a manifest is listed under the tag of its digest.
    await publish_index(builder.index([sbom]), repository, child["digest"].replace(":", "-"))
    source = f"docker://{registry}/copy/attached:1.0"
    plain = await copy_image(client, source, REPOSITORY)
    assert await tags_of(client) == {digest: ["1.0"] * (digest == image.digest) for digest in image.manifests}
    result = await copy_image(client, source, REPOSITORY, referrers=True)
    assert (result.digest, result.tags) == (plain.digest, ("1.0",))
    there = await tags_of(client)
    assert there.keys() - set(image.manifests) == {sbom.digest, signature.digest}
    assert (there[signature.digest], there[sbom.digest]) == ([signed], [])
    assert await server.read_manifest(REPOSITORY, sbom.digest) == sbom.read(sbom.digest)
    again = await copy_image(client, source, REPOSITORY, referrers=True)
    assert (again.layers_uploaded, again.bytes_uploaded) == (0, 0)


async def test_parts_stay_within_the_budget(
    registry: str, client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write_image(tmp_path / "image", layers=4, layer_size=11 * MIB)
    publish(image, f"{registry}/copy/budget:1.0")
    budgets: list[MemoryBudget] = []

    def note(limit: int) -> MemoryBudget:
        budgets.append(MemoryBudget(limit))
        return budgets[-1]

    monkeypatch.setattr("aioecrpublic.push.pusher.MemoryBudget", note)
    await copy_image(
        client,
        f"docker://{registry}/copy/budget:1.0",
        REPOSITORY,
        part_size=5 * MIB,
        memory_budget=12 * MIB,
    )
    (budget,) = budgets
    assert 5 * MIB <= budget.peak <= 12 * MIB
    assert budget.used == 0


async def test_many_repositories(registry: str, client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_index(tmp_path / "image")
    publish(image, f"{registry}/copy/many:1.0")
    jobs = [
        ImageJob(source=f"docker://{registry}/copy/many:1.0", repository_name=f"many/{number}", tags=["1.0"])
        for number in range(100)
    ]
    first = await push_images(client, jobs, create_repository=True, jobs=16)
    assert {result.digest for result in first} == {image.digest}
    again = await push_images(client, jobs, jobs=16)
    assert sum(result.layers_uploaded for result in again) == 0


@pytest.mark.parametrize("source", ["oci:image", "registry.example/team/app:1.0"])
async def test_what_is_no_registry_is_refused(source: str, client: ECRPublicClient) -> None:
    with pytest.raises(ConfigurationError, match="is not docker://HOST"):
        await copy_image(client, source, REPOSITORY)


async def test_an_image_that_is_not_there(registry: str, client: ECRPublicClient) -> None:
    with pytest.raises(ImageError, match="no such image"):
        await copy_image(client, f"docker://{registry}/copy/nothing:1.0", REPOSITORY)
