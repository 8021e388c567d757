"""Killed at any moment, a push goes on where the service stands."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials, ECRPublicClient, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.state import Settings
from aioecrpublic.push import sizes
from tests.push.helpers import REPOSITORY, assert_is_there, connect
from tests.support.docker_registry import docker_registry, store
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.oci import write_image

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.support.oci import BuiltImage

PART = 1024 * 1024
LAYERS = 3
SIZE = 4 * PART + 17
KILLS = 50
KILLS_PER_IMAGE = 5
KILLS_OF_COPIES = 10
# JSON and one asking byte around each part, generously.
ENVELOPE = 1024


def _push(url: str, keys: tuple[str, str], source: str, journal: str, begun: Connection) -> None:
    sizes.SMALLEST_PART = PART

    async def run() -> None:
        credentials = Credentials(access_key_id=keys[0], secret_access_key=keys[1])
        async with ECRPublicClient(endpoint_url=url, credentials=credentials, rate_limits=False) as client:
            begun.send("begun")
            await push_image(client, source, REPOSITORY, ["1"], journal=journal, jobs=LAYERS)

    asyncio.run(run())


class Victim:
    """Pushes in processes of their own, one after the other."""

    def __init__(self, *arguments: object) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._arguments = arguments

    async def killed(self, after: float | None) -> bool:
        """Whether a push was killed, after so many seconds, before it was done."""
        return await asyncio.to_thread(self._killed, after)

    def _killed(self, after: float | None) -> bool:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_push, args=(*self._arguments, theirs))
        process.start()
        assert ours.recv() == "begun"
        process.join(after)
        process.kill()
        process.join()
        ours.close()
        theirs.close()
        assert process.exitcode in {0, -signal.SIGKILL}
        return process.exitcode != 0


@pytest.mark.timeout(300)
@pytest.mark.slow
async def test_fifty_kills_cost_no_more_than_a_part_for_each_layer_in_flight(tmp_path: Path) -> None:
    moments = random.Random(4)
    kills = number = 0
    with fault_proxy(pause=0.002) as proxy:
        while kills < KILLS:
            number += 1
            directory = tmp_path / f"image-{number}"
            image = write_image(directory, layers=LAYERS, layer_size=SIZE, seed=10 * number)
            kills += await _kill_and_go_on(proxy, image, str(directory), moments)


@pytest.mark.interop
async def test_kills_of_a_copy_cost_no_more(tmp_path: Path) -> None:
    moments = random.Random(5)
    image = write_image(tmp_path / "image", layers=LAYERS, layer_size=SIZE)
    store(tmp_path / "registry", image.directory, "team/app", "1")
    kills = 0
    with fault_proxy(pause=0.002) as proxy, docker_registry(tmp_path / "registry") as host:
        while kills < KILLS_OF_COPIES:
            kills += await _kill_and_go_on(proxy, image, f"docker://{host}/team/app:1", moments)


async def _kill_and_go_on(proxy: FaultProxy, image: BuiltImage, source: str, moments: random.Random) -> int:
    """Kill the push of one image a few times, then let it finish; how often it was killed."""
    journal = image.directory / "journal"
    registry = LocalECRPublic(settings=Settings(part_size=PART, smallest_part=PART))
    async with registry as server, connect(server) as client:
        await asyncio.to_thread(proxy.plan, {}, int(server.endpoint_url.rpartition(":")[2]))
        await client.create_repository(repository_name=REPOSITORY)
        keys = (server.credentials.access_key_id, server.credentials.secret_access_key)
        victim = Victim(proxy.url, keys, source, str(journal))
        kills = 0
        while kills < KILLS_PER_IMAGE and await victim.killed(moments.uniform(0.0, 0.4)):
            kills += 1
        assert not await victim.killed(None)
        await assert_is_there(server, client, image, ["1"])
        seen = await asyncio.to_thread(proxy.seen)
    assert not journal.exists()
    size = LAYERS * SIZE + len(image.read(image.config))
    assert seen["part_bytes"] <= size + kills * LAYERS * PART + seen["requests"] * ENVELOPE
    return kills
