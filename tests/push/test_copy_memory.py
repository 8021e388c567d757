"""What a copy takes of memory, in a process of its own, from a docker-registry to a service in another."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials, ECRPublicClient, copy_image
from aioecrpublic.push import DEFAULT_BUDGET
from tests.support.docker_registry import docker_registry, store
from tests.support.oci import write_image, write_mostly_holes
from tests.tools.benchmarks.cases import MIB, Case
from tests.tools.benchmarks.contestants import find
from tests.tools.benchmarks.job import ACCESS_KEY_ID, REPOSITORY, SECRET_ACCESS_KEY, Job
from tests.tools.benchmarks.samples import take
from tests.tools.benchmarks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

SIZE = 2048 * MIB
# What sending takes beside the parts that are held.
BESIDE_MIB = 24


@asynccontextmanager
async def copying(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """Run in the process that is measured; the job's layout is the reference of an image."""
    credentials = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    async with ECRPublicClient(
        region="us-east-1", endpoint_url=job.endpoint_url, credentials=credentials, rate_limits=False
    ) as client:
        yield lambda: copy_image(client, job.layout, REPOSITORY)


@pytest.mark.interop
@pytest.mark.slow
def test_a_layer_of_2_gib_stays_within_the_budget(tmp_path: Path) -> None:
    write_mostly_holes(tmp_path / "layout", SIZE)
    assert peak_mib(tmp_path, Case(layers=1, layer_size=SIZE)) <= DEFAULT_BUDGET / MIB


@pytest.mark.interop
@pytest.mark.slow
def test_what_was_sent_is_held_by_nothing(tmp_path: Path) -> None:
    case = Case(layers=8, layer_size=45 * MIB)
    write_image(tmp_path / "layout", layers=case.layers, layer_size=case.layer_size)
    # A part that outlives its turn in each of four layers would be 80 MiB.
    assert peak_mib(tmp_path, case) <= DEFAULT_BUDGET / MIB + BESIDE_MIB


def peak_mib(directory: Path, case: Case) -> float:
    """MiB above idle that copying the image of a layout takes; the sink has counted every byte of it."""
    store(directory / "registry", directory / "layout", "team/app", "1.0")
    contestant = find(f"{__name__}:{copying.__name__}")
    with docker_registry(directory / "registry") as host, Sink() as sink:
        job = Job(endpoint_url=sink.endpoint_url, layout=f"docker://{host}/team/app:1.0")
        return take(contestant, case, job, sink).peak_mib
