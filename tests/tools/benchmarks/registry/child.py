"""One sample: a fresh process whose clients push and then pull, and which watches the registry meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import attrs

from tests.tools.benchmarks.process import cpu_seconds, cpu_seconds_of, forget_peak, look
from tests.tools.benchmarks.registry.clients import open_clients
from tests.tools.benchmarks.registry.contestants import find
from tests.tools.benchmarks.registry.job import PULL, PULLS, PUSH, Job, Taken
from tests.tools.benchmarks.registry.v2 import Image

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.tools.benchmarks.registry.clients import Client

_MIB = 2**20


async def sample(job: Job) -> dict[str, Taken]:
    """What pushing took, and pulling, unless that would be the same as another contestant's.

    Raises:
        ValueError: Something is not in the registry as it was pushed.
    """
    images = [Image.read(layout) for layout in job.layouts]
    async with AsyncExitStack() as stack:
        clients = await open_clients(job, stack)
        await _warm_up(clients, Image.read(job.warm))
        shares = [images[number :: len(clients)] for number in range(len(clients))]
        taken = {PUSH: await _measured(job, clients, shares, _push)}
        if not find(job.contestant).api:
            often = [PULLS * share for share in shares]
            taken[PULL] = await _measured(job, clients, often, _pull)
        await clients[0].v2.check(shares[0][-1])
    return taken


async def _warm_up(clients: Sequence[Client], image: Image) -> None:
    """What a registry does for the first time is not what is measured."""
    for client in clients:
        await client.push(image)
        await client.v2.pull(image)


async def _measured(
    job: Job,
    clients: Sequence[Client],
    shares: Sequence[Sequence[Image]],
    work: Callable[[Client, Image], Awaitable[None]],
) -> Taken:
    """Every client does the work on its share of the images, one after the other."""

    async def do(client: Client, share: Sequence[Image]) -> None:
        for image in share:
            await work(client, image)

    gc.collect()
    forget_peak(job.pid)
    idle, cpu, client_cpu = look(job.pid), cpu_seconds_of(job.pid), cpu_seconds()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for client, share in zip(clients, shares, strict=True):
            group.create_task(do(client, share))
    wall = time.perf_counter() - started
    sizes = [image.size for share in shares for image in share]
    return Taken(
        wall=wall,
        images_per_s=len(sizes) / wall,
        mib_per_s=sum(sizes) / wall / _MIB,
        cpu=cpu_seconds_of(job.pid) - cpu,
        client_cpu=cpu_seconds() - client_cpu,
        peak_mib=max(0, look(job.pid).peak - idle.resident) / _MIB,
    )


async def _push(client: Client, image: Image) -> None:
    await client.push(image)


async def _pull(client: Client, image: Image) -> None:
    size = await client.v2.pull(image)
    if size != image.size:
        raise ValueError(f"{size} bytes came instead of {image.size}")


if __name__ == "__main__":
    found = asyncio.run(sample(Job(**json.loads(sys.argv[1]))))
    sys.stdout.write(json.dumps({phase: attrs.asdict(taken) for phase, taken in found.items()}))
