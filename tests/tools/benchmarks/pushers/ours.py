"""This package."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aioecrpublic import Credentials, ECRPublicClient, push_image
from tests.tools.benchmarks.job import ACCESS_KEY_ID, JOBS, REPOSITORY, SECRET_ACCESS_KEY, TAG

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.tools.benchmarks.job import Job


@asynccontextmanager
async def unpaced(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """Without rate limits, as the peers have none."""
    async with client_of(job, rate_limits=False) as client:
        yield lambda: push_image(client, f"oci:{job.layout}", REPOSITORY, tags=[TAG], jobs=JOBS)


@asynccontextmanager
async def paced(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """With the service's published quotas kept, as it is by default."""
    async with client_of(job, rate_limits=True) as client:
        yield lambda: push_image(client, f"oci:{job.layout}", REPOSITORY, tags=[TAG], jobs=JOBS)


def client_of(job: Job, *, rate_limits: bool) -> ECRPublicClient:
    """A client of the job's endpoint, to be opened."""
    return ECRPublicClient(
        region="us-east-1",
        endpoint_url=job.endpoint_url,
        credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        rate_limits=rate_limits,
    )
