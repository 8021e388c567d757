"""Copying from Debian's docker-registry into the local ECR Public."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from aiohttp import ClientSession, web

from aioecrpublic.errors import ConfigurationError, ImageError
from aioecrpublic.images import RegistryCredentials, RegistryImage
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage import registry_token
from aioecrpublic.push import ImageJob, LayerResumed, copy_image, push_image, push_images
from aioecrpublic.push.budget import MIB, MemoryBudget
from tests.push.helpers import REPOSITORY, Wire, assert_is_there, assert_nothing_runs, connect, tags_of
from tests.support.docker_registry import PASSWORD, USERNAME, docker_registry
from tests.support.oci import (
    OCI_MANIFEST,
    BuiltImage,
    LayoutBuilder,
    digest_of,
    encode,
    random_layer,
    write_image,
    write_index,
)
from tests.support.tools import skopeo
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic._runtime.hooks import SendEvent
    from aioecrpublic.push import PushEvent

pytestmark = pytest.mark.interop

UPLOADING = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@attrs.frozen
class Origin:
    """A registry to copy from.

    Attributes:
        prefix: Its host, and what stands before the names of its repositories.
        credentials: What it wants to know of who pushes.
        reader: What it wants to know of who pulls.
    """

    prefix: str
    credentials: RegistryCredentials | None = None
    reader: RegistryCredentials | None = None

    def image(self, name: str) -> RegistryImage:
        return RegistryImage(f"{self.prefix}/{name}", credentials=self.reader)

    async def publish(self, image: BuiltImage, name: str, *options: str) -> bytes:
        """Push an image with skopeo; its bytes as skopeo reads them back."""
        who, reader = self._options("dest-creds", self.credentials), self._options("creds", self.reader)
        target = f"{self.prefix}/{name}"
        await asyncio.to_thread(publish, image, target, *who, *options, exact=not options)
        return await inspect(target, *reader)

    def _options(self, name: str, credentials: RegistryCredentials | None) -> list[str]:
        return [f"--{name}={credentials.username}:{credentials.password}"] if credentials else []


async def inspect(reference: str, *options: str) -> bytes:
    """The manifest or index that skopeo finds."""
    found = await asyncio.to_thread(
        skopeo, "inspect", "--raw", "--tls-verify=false", *options, f"docker://{reference}"
    )
    return found.encode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("guarded"), htpasswd=True) as host:
        yield host


@pytest.fixture(params=["docker-registry", "docker-registry with a password", "LocalECRPublic"])
async def origin(request: pytest.FixtureRequest, registry: str, guarded: str) -> AsyncIterator[Origin]:
    known = RegistryCredentials(username=USERNAME, password=PASSWORD)
    if request.param == "docker-registry":
        yield Origin(f"{registry}/copy")
    elif request.param != "LocalECRPublic":
        yield Origin(f"{guarded}/copy", known, known)
    else:
        async with LocalECRPublic() as other, connect(other) as client:
            for kind in ("oci", "docker", "index"):
                await client.create_repository(repository_name=kind)
            token = await registry_token(client)
            pusher = RegistryCredentials(username=token.username, password=token.password)
            yield Origin(f"{host_of(other)}/local", pusher)


def host_of(server: LocalECRPublic) -> str:
    return server.registry_url.removeprefix("http://")


def publish(
    image: BuiltImage, target: str, *options: str, reference: str = "1.0", exact: bool = True
) -> None:
    """Push an image with skopeo."""
    source = f"oci:{image.directory}:{reference}"
    given = (*options, "--preserve-digests" if exact else "--format=v2s2")
    skopeo("copy", "--all", "--dest-tls-verify=false", *given, source, f"docker://{target}")


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
    kind: str, origin: Origin, server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    write = write_index if kind == "index" else write_image
    image = write(tmp_path / "image", real_layers=True, layer_size=50_000)
    raw = await origin.publish(image, f"{kind}:1.0", *(["--format=v2s2"] if kind == "docker" else []))
    wire = Wire()
    async with connect(server, hooks=[wire]) as watched:
        tasks = asyncio.all_tasks()
        first = await copy_image(watched, origin.image(f"{kind}:1.0"), REPOSITORY)
        await assert_nothing_runs(tasks)
        assert await inspect(f"{host_of(server)}/local/{REPOSITORY}:1.0") == raw
        assert first.digest == digest_of(raw)
        assert first.layers_uploaded == len(image.layers) + len(image.configs)
        if kind != "docker":
            await assert_is_there(server, client, image, ["1.0"])
        wire.sent.clear()
        again = await copy_image(watched, origin.image(f"{kind}:1.0"), REPOSITORY)
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


async def test_a_source_that_is_killed_and_comes_back_goes_on(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", layers=1, layer_size=64 * MIB)
    killing = asyncio.Event()

    class Second(Wire):
        async def before_send(self, event: SendEvent) -> None:
            await super().before_send(event)
            if self.count("UploadLayerPart") == 3:
                killing.set()

    with ExitStack() as running:
        host = running.enter_context(docker_registry(tmp_path / "registry"))
        publish(image, f"{host}/copy/killed:1.0")
        source = RegistryImage(f"{host}/copy/killed:1.0", max_attempts=30)
        async with connect(server, hooks=[Second()]) as watched:
            copying = asyncio.ensure_future(
                copy_image(watched, source, REPOSITORY, part_size=5 * MIB, memory_budget=10 * MIB)
            )
            await killing.wait()
            running.close()
            assert not copying.done()
            running.enter_context(docker_registry(tmp_path / "registry", port=int(host.rpartition(":")[2])))
            result = await copying
    assert result.layers_uploaded == 2
    await assert_is_there(server, client, image, ["1.0"])


async def test_a_token_that_expires_in_the_middle_is_renewed(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", layers=3, layer_size=100_000)
    late = dt.timedelta()
    async with LocalECRPublic(clock=lambda: dt.datetime.now(dt.UTC) + late) as other:
        async with connect(other) as pushing:
            await push_image(pushing, f"oci:{image.directory}:1.0", "app", ["1.0"], create_repository=True)
        async with RegistryImage(f"{host_of(other)}/local/app:1.0") as source:
            await copy_image(client, source, "team/first", create_repository=True)
            # The computer has slept for a day: the token is refused, though by our own clock it is good.
            late = dt.timedelta(days=1)
            result = await copy_image(client, source, REPOSITORY)
    assert (result.digest, result.layers_uploaded) == (image.digest, 4)
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
    # skopeo does not put indexes of artifacts.
    listing = builder.index([sbom])
    async with ClientSession(f"http://{registry}/v2/") as session:
        await put_manifest(
            session,
            "copy/attached",
            child["digest"].replace(":", "-"),
            listing.read(listing.digest),
            listing.media_type,
        )
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


@pytest.mark.parametrize("password", [False, True])
@pytest.mark.slow
async def test_a_hundred_repositories(
    password: bool,  # noqa: FBT001 - a parameter
    registry: str,
    guarded: str,
    server: LocalECRPublic,
    client: ECRPublicClient,
    tmp_path: Path,
) -> None:
    known = RegistryCredentials(username=USERNAME, password=PASSWORD) if password else None
    origin = Origin(guarded if password else registry, known, known)
    image = write_index(tmp_path / "image")
    await origin.publish(image, "many/0:1.0")
    digests = await multiply(image, origin, range(1, 101))

    def jobs() -> list[ImageJob]:
        return [
            ImageJob(source=origin.image(f"{name}:1.0"), repository_name=f"mirror/{name}", tags=["1.0"])
            for name in digests
        ]

    first = await push_images(client, jobs(), create_repository=True, jobs=16)
    assert [result.digest for result in first] == list(digests.values())
    for name, digest in list(digests.items())[::10]:
        assert digest_of(await inspect(f"{host_of(server)}/local/mirror/{name}:1.0")) == digest
    wire = Wire()
    async with connect(server, hooks=[wire]) as watched:
        again = await push_images(watched, jobs(), jobs=16)
    assert [result.digest for result in again] == list(digests.values())
    assert sum(result.layers_uploaded + result.bytes_uploaded for result in again) == 0
    assert not set(UPLOADING) & set(wire.sent)


async def multiply(image: BuiltImage, origin: Origin, numbers: range) -> dict[str, str]:
    """Put an index into many repositories, in each with a number of its own; the digests by repository."""
    known = origin.credentials
    who = {"Authorization": known.basic} if known else {}
    digests = {}
    async with ClientSession(f"http://{origin.prefix}/v2/", headers=who) as session:
        for number in numbers:
            name = f"many/{number}"
            for digest in (*image.layers, *image.configs):
                mount = {"mount": digest, "from": "many/0"}
                async with session.post(f"{name}/blobs/uploads/", params=mount) as reply:
                    assert reply.status == 201, await reply.text()
            for digest in image.manifests[:-1]:
                await put_manifest(session, name, digest, image.read(digest), OCI_MANIFEST)
            index = json.loads(image.read(image.digest)) | {"annotations": {"number": str(number)}}
            raw = encode(index)
            await put_manifest(session, name, "1.0", raw, image.media_type)
            digests[name] = digest_of(raw)
    return digests


async def put_manifest(
    session: ClientSession, name: str, reference: str, raw: bytes, media_type: str
) -> None:
    async with session.put(
        f"{name}/manifests/{reference}", data=raw, headers={"Content-Type": media_type}
    ) as reply:
        assert reply.status == 201, await reply.text()


@pytest.mark.parametrize("source", ["oci:image", "registry.example/team/app:1.0"])
async def test_what_is_no_registry_is_refused(source: str, client: ECRPublicClient) -> None:
    with pytest.raises(ConfigurationError, match="is not docker://HOST"):
        await copy_image(client, source, REPOSITORY)


async def test_an_image_that_is_not_there(registry: str, client: ECRPublicClient) -> None:
    with pytest.raises(ImageError, match="no such image"):
        await copy_image(client, f"docker://{registry}/copy/nothing:1.0", REPOSITORY)
