"""Killed at any moment, a push goes on where the service stands."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials, ECRPublicClient, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.state import Settings
from aioecrpublic.push import layer as layer_module
from tests.push.helpers import REPOSITORY, assert_is_there, connect
from tests.support.fault_proxy import fault_proxy
from tests.support.oci import write_image

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

PART = 1024 * 1024
LAYERS = 3
SIZE = 4 * PART + 17
KILLS = 50
KILLS_PER_IMAGE = 5
# JSON and one asking byte around each part, generously.
ENVELOPE = 1024


def _push(url: str, keys: tuple[str, str], layout: str, journal: str, begun: Connection) -> None:
    layer_module.SMALLEST_PART = PART

    async def run() -> None:
        credentials = Credentials(access_key_id=keys[0], secret_access_key=keys[1])
        async with ECRPublicClient(endpoint_url=url, credentials=credentials, rate_limits=False) as client:
            begun.send(True)
            await push_image(client, layout, REPOSITORY, ["1"], journal=journal, jobs=LAYERS)

    asyncio.run(run())


@pytest.mark.timeout(300)
async def test_fifty_kills_cost_no_more_than_a_part_for_each_layer_in_flight(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    moments = random.Random(4)
    kills = number = 0
    with fault_proxy(pause=0.002) as proxy:
        while kills < KILLS:
            number += 1
            directory = tmp_path / f"image-{number}"
            image = write_image(directory / "layout", layers=LAYERS, layer_size=SIZE, seed=10 * number)
            async with LocalECRPublic(settings=Settings(part_size=PART, smallest_part=PART)) as server:
                await asyncio.to_thread(proxy.plan, {}, int(server.endpoint_url.rpartition(":")[2]))
                keys = (server.credentials.access_key_id, server.credentials.secret_access_key)
                journal = directory / "journal"
                arguments = (proxy.url, keys, str(image.directory), str(journal))

                def attempt(after: float | None) -> bool:
                    ours, theirs = context.Pipe()
                    process = context.Process(target=_push, args=(*arguments, theirs))  # noqa: B023 - used at once
                    process.start()
                    assert ours.recv() is True
                    process.join(after)
                    process.kill()
                    process.join()
                    ours.close()
                    theirs.close()
                    assert process.exitcode in {0, -9}
                    return process.exitcode == -9

                async with connect(server) as client:
                    await client.create_repository(repository_name=REPOSITORY)
                    mine = 0
                    while mine < KILLS_PER_IMAGE:
                        if not await asyncio.to_thread(attempt, moments.uniform(0.0, 0.4)):
                            break
                        mine += 1
                    if mine == KILLS_PER_IMAGE:
                        assert not await asyncio.to_thread(attempt, None)
                    await assert_is_there(server, client, image, ["1"])
                seen = await asyncio.to_thread(proxy.seen)
                assert not journal.exists()
                kills += mine
                size = LAYERS * SIZE + len(image.read(image.config))
                allowed = size + mine * LAYERS * PART + seen["requests"] * ENVELOPE
                assert seen["part_bytes"] <= allowed
