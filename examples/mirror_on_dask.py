"""A mirror that outgrows one machine: copies of images as tasks of a Dask cluster.

``python mirror_on_dask.py FILE SCHEDULER`` has a cluster's workers copy what ``mirror_bot.py FILE`` copies
alone, each with the AWS credentials of its own machine. Needs ``pip install 'dask[distributed]'``.

A task is one image, and doing it again does no harm: what an interrupted copy has brought stays, and is not
brought again. So the tasks of a worker that dies are simply done by another. Without arguments two workers
mirror one local registry to another, and one of them is killed (-9) in the middle of an image.
"""

import asyncio
import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import attrs
from distributed import Client, KilledWorker, LocalCluster, as_completed
from mirror_bot import fill, read_pairs

from aioecrpublic import (
    Credentials,
    ECRPublicClient,
    ECRPublicError,
    PushEvent,
    PushResult,
    RegistryImage,
    copy_image,
)
from aioecrpublic.images import load_image
from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic
from aioecrpublic.push import LayerCompleted


@attrs.frozen
class Target:
    """Where images go; ``None`` is what the machine that copies is configured for."""

    endpoint_url: str | None = None
    credentials: Credentials | None = None

    def client(self) -> ECRPublicClient:
        return ECRPublicClient(endpoint_url=self.endpoint_url, credentials=self.credentials)


@attrs.frozen
class Accident:
    """Kills the process in the middle of an image, once: the file says that it has happened."""

    happened: Path

    def __call__(self, event: PushEvent) -> None:
        if isinstance(event, LayerCompleted):
            with suppress(FileExistsError):
                self.happened.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)


def copy(source: str, repository: str, target: Target, accident: Accident | None = None) -> PushResult:
    """The task: one image, from its beginning or from where another worker has died over it, to its end."""

    async def work() -> PushResult:
        async with target.client() as client:
            return await copy_image(
                client, source, repository, jobs=1, create_repository=True, on_event=accident
            )

    return asyncio.run(work())


def mirror(
    cluster: Client, pairs: Iterable[tuple[str, str]], target: Target, accident: Accident | None = None
) -> tuple[int, int]:
    """Copy every image that its target lacks; how many are there now, and how many could not be copied."""
    tasks = [cluster.submit(copy, *pair, target, accident, pure=False) for pair in pairs]
    there = failed = 0
    for task in as_completed(tasks):
        try:
            result = task.result()
        except (ECRPublicError, KilledWorker) as error:
            failed += 1
            print(f"failed: {error}")
        else:
            there += 1
            print(f"{result.image_uri}: {result.layers_uploaded} layers, {result.layers_skipped} were there")
    return there, failed


def demonstrate(directory: Path) -> None:
    names = [f"app-{number}" for number in range(6)]
    with (
        BackgroundECRPublic(LocalECRPublic()) as theirs,
        BackgroundECRPublic(LocalECRPublic()) as ours,
        # Its warning that a worker died is expected here.
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as machines,
        Client(machines) as cluster,
    ):
        asyncio.run(fill(theirs.registry, names, directory))
        host = theirs.registry.registry_url.removeprefix("http://")
        pairs = [(f"docker://{host}/local/{name}:1.0", f"mirror/{name}") for name in names]
        target = Target(ours.registry.endpoint_url, ours.registry.credentials)
        before = cluster.run(os.getpid)
        outcome = mirror(cluster, pairs, target, Accident(directory / "accident"))
        killed = set(before.values()) - set(cluster.run(os.getpid).values())
        print(f"killed on the way: {len(killed)} worker")
        assert (len(killed), outcome) == (1, (len(names), 0))
        layers = asyncio.run(count_pulled(ours.registry, [repository for _, repository in pairs]))
        print(f"pulled back whole: {len(names)} images, {layers} layers")


async def count_pulled(server: LocalECRPublic, repositories: Iterable[str]) -> int:
    """Pull every image back, look at every byte, and count the layers."""
    layers = 0
    host = server.registry_url.removeprefix("http://")
    for repository in repositories:
        async with RegistryImage(f"{host}/local/{repository}:1.0") as image:
            for descriptor in (await load_image(image)).blobs:
                blob = await image.open_blob(descriptor)
                data = await blob.read(0, descriptor.size)
                assert isinstance(data, bytes)
                assert descriptor.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
                layers += 1
    return layers


def main() -> None:
    if len(sys.argv) == 3:
        with Client(sys.argv[2]) as cluster:
            _, failed = mirror(cluster, read_pairs(sys.argv[1]), Target())
        sys.exit(failed > 0)
    with tempfile.TemporaryDirectory() as directory:
        demonstrate(Path(directory))


if __name__ == "__main__":
    main()
