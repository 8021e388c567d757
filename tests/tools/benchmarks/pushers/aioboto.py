"""aiobotocore, layers gathered behind a semaphore."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.session import get_session

from tests.tools.benchmarks.job import ACCESS_KEY_ID, JOBS, REPOSITORY, SECRET_ACCESS_KEY, TAG, read_layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.tools.benchmarks.job import Job, StoredBlob


@asynccontextmanager
async def gathered(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """As many layers at a time as we have."""
    async with get_session().create_client(
        "ecr-public",
        region_name="us-east-1",
        endpoint_url=job.endpoint_url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    ) as client:
        yield lambda: _push(client, job)


async def _push(client: Any, job: Job) -> None:
    image = read_layout(job.layout)
    missing: set[str] = set()
    for batch in image.batches:
        reply = await client.batch_check_layer_availability(repositoryName=REPOSITORY, layerDigests=batch)
        missing.update(x["layerDigest"] for x in reply["layers"] if x["layerAvailability"] != "AVAILABLE")
    slots = asyncio.Semaphore(JOBS)
    await asyncio.gather(*(_upload(client, blob, slots) for blob in image.blobs if blob.digest in missing))
    await client.put_image(
        repositoryName=REPOSITORY,
        imageManifest=image.manifest,
        imageManifestMediaType=image.media_type,
        imageDigest=image.digest,
        imageTag=TAG,
    )


async def _upload(client: Any, blob: StoredBlob, slots: asyncio.Semaphore) -> None:
    async with slots:
        begun = await client.initiate_layer_upload(repositoryName=REPOSITORY)
        first = 0
        with blob.path.open("rb", buffering=0) as file:
            while part := await asyncio.to_thread(file.read, begun["partSize"]):
                await client.upload_layer_part(
                    repositoryName=REPOSITORY,
                    uploadId=begun["uploadId"],
                    partFirstByte=first,
                    partLastByte=first + len(part) - 1,
                    layerPartBlob=part,
                )
                first += len(part)
        await client.complete_layer_upload(
            repositoryName=REPOSITORY, uploadId=begun["uploadId"], layerDigests=[blob.digest]
        )
