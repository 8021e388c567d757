"""This package with many images at once: every folder of the job's layout is an image of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aioecrpublic import ImageJob, push_image, push_images
from tests.tools.benchmarks.job import JOBS, TAG
from tests.tools.benchmarks.pushers.ours import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.tools.benchmarks.job import Job


@asynccontextmanager
async def images(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """One client pushes all of them."""
    jobs = [
        ImageJob(source=source, repository_name=f"team/{name}", tags=[TAG]) for name, source in _sources(job)
    ]
    async with client_of(job, rate_limits=False) as client:
        yield lambda: push_images(client, jobs, jobs=JOBS)


@asynccontextmanager
async def clients(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """Each is pushed by a client of its own, all at the same time."""
    async with AsyncExitStack() as stack:
        opened = [
            (await stack.enter_async_context(client_of(job, rate_limits=False)), name, source)
            for name, source in _sources(job)
        ]

        async def push() -> None:
            async with asyncio.TaskGroup() as group:
                for client, name, source in opened:
                    group.create_task(push_image(client, source, f"team/{name}", [TAG], jobs=JOBS))

        yield push


def _sources(job: Job) -> list[tuple[str, str]]:
    return [(path.name, f"oci:{path}") for path in sorted(Path(job.layout).iterdir())]
