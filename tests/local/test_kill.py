"""The registry is killed at any moment of many pushes: what it acknowledged is there when it is back."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import pytest

from aioecrpublic import ECRPublicClient, PushError, push_image
from aioecrpublic.errors import InvalidLayerPartException, LayerAlreadyExistsException, TransportError
from aioecrpublic.local import DEFAULT_CREDENTIALS, Settings
from aioecrpublic.push import LayerCompleted
from tests.push.helpers import REPOSITORY, small_parts
from tests.support.oci import digest_of, random_bytes, write_image
from tests.support.registry_process import RegistryProcess, registry_process

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.push import PushEvent

KIB = 1024
PART = 64 * KIB
KILLS = 50
PUSHERS = 3


@attrs.define
class Promised:
    """What the registry acknowledged: the layers, and the images by their tags."""

    layers: set[str] = attrs.field(factory=set)
    images: dict[str, str] = attrs.field(factory=dict)

    def event(self, event: PushEvent) -> None:
        if isinstance(event, LayerCompleted):
            self.layers.add(event.digest)


@pytest.mark.timeout(300)
@pytest.mark.slow
async def test_fifty_kills_lose_nothing_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, PART)
    settings = Settings(part_size=PART, smallest_part=PART)
    with registry_process(data_dir=tmp_path / "data", settings=settings) as server:
        async with client_of(server, max_attempts=10) as client:
            await client.create_repository(repository_name=REPOSITORY)
            promised = await kill_amid_pushes(server, client, tmp_path)
            await assert_nothing_is_missing(client, promised)
        # More than one for each kill: they came in the middle of pushes that got on.
        assert len(promised.layers) > KILLS
        await assert_every_byte_is_there(server, promised)


async def kill_amid_pushes(server: RegistryProcess, client: ECRPublicClient, directory: Path) -> Promised:
    promised, over = Promised(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(PUSHERS):
            group.create_task(push_on(client, directory / f"pusher-{number}", number, promised, over))
        group.create_task(upload_on(server, promised, over))
        group.create_task(upload_on_by_v2(server, await token_of(client), promised, over))
        await kill_and_start(server, client, promised)
        over.set()
    return promised


async def kill_and_start(server: RegistryProcess, client: ECRPublicClient, promised: Promised) -> None:
    moments = random.Random(4)
    for _ in range(KILLS):
        await asyncio.sleep(moments.uniform(0.0, 0.15))
        await asyncio.to_thread(server.kill)
        before = attrs.evolve(promised, layers=set(promised.layers), images=dict(promised.images))
        await asyncio.to_thread(server.start)
        await assert_nothing_is_missing(client, before)


def client_of(server: RegistryProcess, **options: Any) -> ECRPublicClient:
    return ECRPublicClient(
        endpoint_url=server.url, credentials=DEFAULT_CREDENTIALS, rate_limits=False, **options
    )


async def token_of(client: ECRPublicClient) -> str:
    found = (await client.get_authorization_token()).authorization_data
    assert found is not None
    return f"Bearer {found.authorization_token}"


async def push_on(
    client: ECRPublicClient, directory: Path, pusher: int, promised: Promised, over: asyncio.Event
) -> None:
    """Push one image after the other, each until it is there: on a slow machine the registry may be down more
    often than a push bears, and then it is made again, as its user would.
    """
    for number in itertools.count():
        if over.is_set():
            return
        tag, seed = f"{pusher}-{number}", 1000 * pusher + 10 * number
        image = write_image(directory / tag, layers=2, layer_size=3 * PART + 5, seed=seed)
        while tag not in promised.images:
            with suppress(PushError):
                result = await push_image(client, image.directory, REPOSITORY, [tag], on_event=promised.event)
                promised.images[tag] = result.digest


async def upload_on(server: RegistryProcess, promised: Promised, over: asyncio.Event) -> None:
    """Upload layers by a client that tries once: no acknowledged part may be asked for again."""
    async with client_of(server, max_attempts=1) as client:
        for number in itertools.count():
            if over.is_set():
                return
            data = random_bytes(5 * PART + 1, 100_000 + number)
            await upload(client, data)
            promised.layers.add(digest_of(data))


async def upload(client: ECRPublicClient, data: bytes) -> None:
    begun = await again(lambda: client.initiate_layer_upload(repository_name=REPOSITORY))
    where = {"repository_name": REPOSITORY, "upload_id": begun.upload_id}
    acknowledged = 0
    while acknowledged < len(data):
        part = data[acknowledged : acknowledged + PART]
        last = acknowledged + len(part) - 1
        try:
            await client.upload_layer_part(
                **where, part_first_byte=acknowledged, part_last_byte=last, layer_part_blob=part
            )
            received = last
        except TransportError:
            await asyncio.sleep(0.01)
            continue
        except InvalidLayerPartException as error:
            # It had come, and only the reply was lost.
            received = error.last_valid_byte_received or 0
        assert received == last
        acknowledged = last + 1
    await complete(client, where, digest_of(data))


async def complete(client: ECRPublicClient, where: dict[str, str], digest: str) -> None:
    while True:
        try:
            await client.complete_layer_upload(**where, layer_digests=[digest])
        except TransportError:
            found = await again(
                lambda: client.batch_check_layer_availability(
                    repository_name=REPOSITORY, layer_digests=[digest]
                )
            )
            if found.layers[0].layer_availability != "AVAILABLE":
                continue
        except LayerAlreadyExistsException:
            pass
        return


async def again(call: Any) -> Any:
    """Call until the registry is there."""
    while True:
        try:
            return await call()
        except (TransportError, aiohttp.ClientError):
            await asyncio.sleep(0.01)


async def upload_on_by_v2(
    server: RegistryProcess, token: str, promised: Promised, over: asyncio.Event
) -> None:
    """Upload blobs in chunks by v2: no acknowledged chunk may be missing."""
    async with aiohttp.ClientSession(base_url=server.url, headers={"Authorization": token}) as session:
        for number in itertools.count():
            if over.is_set():
                return
            data = random_bytes(3 * PART + 1, 200_000 + number)
            await upload_by_v2(session, data)
            promised.layers.add(digest_of(data))


async def upload_by_v2(session: aiohttp.ClientSession, data: bytes) -> None:
    async def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        async with session.request(method, path, data=body) as response:
            await response.read()
            return response.status, response.headers

    _, headers = await again(lambda: ask("POST", f"/v2/local/{REPOSITORY}/blobs/uploads/"))
    location, acknowledged = headers["Location"], 0
    while acknowledged < len(data):
        try:
            status, _ = await ask("PATCH", location, data[acknowledged : acknowledged + PART])
        except aiohttp.ClientError:
            status, headers = await again(lambda: ask("GET", location))
            assert status == 204
            received = int(headers["Range"].removeprefix("0-"))
            assert received >= acknowledged - 1
            acknowledged = received + 1 if received else 0
        else:
            assert status == 202
            acknowledged = min(acknowledged + PART, len(data))
    digest = digest_of(data)
    status, _ = await again(lambda: ask("PUT", f"{location}?digest={digest}"))
    if status == 404:
        # It was done, and only the reply was lost.
        status, _ = await again(lambda: ask("HEAD", f"/v2/local/{REPOSITORY}/blobs/{digest}"))
    assert status in {200, 201}


async def assert_nothing_is_missing(client: ECRPublicClient, promised: Promised) -> None:
    layers = sorted(promised.layers)
    for first in range(0, len(layers), 100):
        digests = layers[first : first + 100]
        found = await client.batch_check_layer_availability(repository_name=REPOSITORY, layer_digests=digests)
        assert {layer.layer_digest for layer in found.layers} == set(digests)
        assert {layer.layer_availability for layer in found.layers} == {"AVAILABLE"}
    tags = {
        detail.image_tag: detail.image_detail and detail.image_detail.image_digest
        async for detail in client.paginate_describe_image_tags(repository_name=REPOSITORY)
    }
    assert promised.images.items() <= tags.items()


async def assert_every_byte_is_there(server: RegistryProcess, promised: Promised) -> None:
    async with aiohttp.ClientSession(server.url) as session:
        async with session.get("/token/") as response:
            token = (await response.json())["token"]
        for digest in sorted(promised.layers | set(promised.images.values())):
            kind = "manifests" if digest in promised.images.values() else "blobs"
            path = f"/v2/local/{REPOSITORY}/{kind}/{digest}"
            async with session.get(path, headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == 200
                assert f"sha256:{hashlib.sha256(await response.read()).hexdigest()}" == digest
