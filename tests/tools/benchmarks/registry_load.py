"""Many clients push to the local registry and pull from it, all at once.

``python -m tests.tools.benchmarks.registry_load`` prints the figures. The registry is a process of its own.
Each client has a repository: it pushes an image of new layers, pulls it by the registry API, byte for byte,
and deletes the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import attrs

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.local import DEFAULT_CREDENTIALS, Settings
from aioecrpublic.types import ImageIdentifier
from tests.support.oci import BuiltImage, write_image
from tests.support.registry_process import RegistryProcess, Vitals, registry_process

CLIENTS = 64
LAYERS = 2
LAYER_SIZE = 1536 * 1024
MIB = 1024 * 1024
# Garbage is collected while it runs, as in a registry that runs for long.
SETTINGS = Settings(upload_lifetime=dt.timedelta(seconds=30), sweep_interval=1.0)
_SETTLED = 30.0


@attrs.define
class Load:
    """What was done, and what the registry held meanwhile.

    Attributes:
        pushes: Images pushed.
        pulls: Images pulled.
        bytes_moved: Bytes of blobs, in both directions.
        seconds: How long it took.
        idle: What the registry held when all clients had come and gone once.
        held: What it held from time to time, by seconds.
        left: What it held when all clients were gone for good.
    """

    idle: Vitals
    pushes: int = 0
    pulls: int = 0
    bytes_moved: int = 0
    seconds: float = 0.0
    held: dict[float, Vitals] = attrs.field(factory=dict)
    left: Vitals | None = None


async def load(
    server: RegistryProcess, directory: Path, *, rounds: int, seconds: float = 0.0, clients: int = CLIENTS
) -> Load:
    """Push and pull at least so many rounds, and at least so long.

    Raises:
        ExceptionGroup: Anything at all that went wrong.
    """
    warm = Load(idle=await asyncio.to_thread(server.vitals))
    await _all_clients(_Traffic(server, directory / "warm", warm, 1, 0.0), clients)
    done = Load(idle=await settled(server, warm.idle))
    watch = asyncio.create_task(_watch(server, done))
    begun = time.monotonic()
    await _all_clients(_Traffic(server, directory / "load", done, rounds, begun + seconds), clients)
    done.seconds = time.monotonic() - begun
    watch.cancel()
    await asyncio.wait([watch])
    done.left = await settled(server, done.idle)
    return done


async def settled(server: RegistryProcess, before: Vitals) -> Vitals:
    """What the registry holds when it holds no more than before, or else after half a minute."""
    end = time.monotonic() + _SETTLED
    while True:
        now = await asyncio.to_thread(server.vitals)
        if (now.tasks, now.files) <= (before.tasks, before.files) or time.monotonic() > end:
            return now
        await asyncio.sleep(0.1)


async def _watch(server: RegistryProcess, done: Load) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(0.5)
        found = await asyncio.to_thread(server.vitals)
        done.held[time.monotonic() - begun] = found


@attrs.frozen
class _Traffic:
    """What all clients have in common."""

    server: RegistryProcess
    directory: Path
    done: Load
    rounds: int
    end: float


async def _all_clients(traffic: _Traffic, clients: int) -> None:
    async with aiohttp.ClientSession(traffic.server.url) as session, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_push_and_pull(traffic, session, number))


async def _push_and_pull(traffic: _Traffic, session: aiohttp.ClientSession, number: int) -> None:
    repository, before, turn = f"team/app-{number}", None, 0
    async with ECRPublicClient(
        endpoint_url=traffic.server.url, credentials=DEFAULT_CREDENTIALS, rate_limits=False
    ) as client:
        while turn < traffic.rounds or time.monotonic() < traffic.end:
            layout = traffic.directory / f"{number}-{turn}"
            image = await asyncio.to_thread(_write, layout)
            await push_image(client, layout, repository, ["latest"], create_repository=True)
            traffic.done.pushes += 1
            await _pull(session, repository, image, traffic.done)
            await asyncio.to_thread(shutil.rmtree, layout)
            if before is not None:
                await client.batch_delete_image(
                    repository_name=repository, image_ids=[ImageIdentifier(image_digest=before)]
                )
            before, turn = image.digest, turn + 1


def _write(layout: Path) -> BuiltImage:
    # Layers that nobody else has.
    seed = int.from_bytes(hashlib.sha256(str(layout).encode()).digest()[:8])
    return write_image(layout, layers=LAYERS, layer_size=LAYER_SIZE, seed=seed)


async def _pull(session: aiohttp.ClientSession, repository: str, image: BuiltImage, done: Load) -> None:
    """Pull what ``latest`` is now; every byte has to be the one that was pushed."""
    async with session.get("/token/") as response:
        headers = {"Authorization": f"Bearer {(await response.json())['token']}"}
    wanted = {"manifests/latest": image.digest}
    wanted |= {f"blobs/{digest}": digest for digest in (image.config, *image.layers)}
    for what, digest in wanted.items():
        async with session.get(f"/v2/local/{repository}/{what}", headers=headers) as response:
            data = await response.read()
        if response.status != 200 or f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise AssertionError(f"{what} of {repository} is not what was pushed: {response.status}")
        # Once up, once down.
        done.bytes_moved += 2 * len(data)
    done.pulls += 1


def report(done: Load) -> str:
    """The figures."""
    rates = {"pushes": done.pushes, "pulls": done.pulls, "MiB": done.bytes_moved / MIB}
    each = ", ".join(f"{amount / done.seconds:.1f} {name}/s" for name, amount in rates.items())
    lines = [f"{done.pushes} pushes and {done.pulls} pulls in {done.seconds:.1f} s: {each}"]
    moments: dict[str, Vitals | None] = {"idle": done.idle}
    step = max(len(done.held) // 6, 1)
    for seconds in list(done.held)[step - 1 :: step]:
        moments[f"{seconds:.0f} s"] = done.held[seconds]
    moments["left"] = done.left
    for name, vitals in moments.items():
        if vitals is not None:
            lines.append(
                f"{name:>6}: {vitals.resident / MIB:6.1f} MiB, {vitals.files} files, {vitals.tasks} tasks,"
                f" {vitals.threads} threads"
            )
    return "\n".join(lines)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="aioecrpublic-load-") as directory,
        registry_process(settings=SETTINGS) as server,
    ):
        work = load(server, Path(directory), rounds=1, seconds=arguments.seconds, clients=arguments.clients)
        done = asyncio.run(work)
    sys.stdout.write(report(done) + "\n")


if __name__ == "__main__":
    main()
