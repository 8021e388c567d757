"""capo-ecr-public, layers gathered behind a semaphore."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from capo_ecr_public import AsyncECRPUBLICClient, Credentials

from tests.tools.benchmarks.job import ACCESS_KEY_ID, JOBS, REPOSITORY, SECRET_ACCESS_KEY, TAG, read_layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.tools.benchmarks.job import Job, StoredBlob


@asynccontextmanager
async def gathered(job: Job) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """As many layers at a time as we have."""
    async with AsyncECRPUBLICClient(
        region="us-east-1",
        endpoint=job.endpoint_url,
        credentials=Credentials(access_key=ACCESS_KEY_ID, secret_key=SECRET_ACCESS_KEY),
    ) as client:
        yield lambda: _push(client, job)


async def _push(client: Any, job: Job) -> None:
    image = read_layout(job.layout)
    missing: set[str] = set()
    for batch in image.batches:
        reply = await client.batch_check_layer_availability(repository_name=REPOSITORY, layer_digests=batch)
        missing.update(x["layer_digest"] for x in reply["layers"] if x["layer_availability"] != "AVAILABLE")
    slots = asyncio.Semaphore(JOBS)
    await asyncio.gather(*(_upload(client, blob, slots) for blob in image.blobs if blob.digest in missing))
    await client.put_image(
        repository_name=REPOSITORY,
        image_manifest=image.manifest,
        image_manifest_media_type=image.media_type,
        image_digest=image.digest,
        image_tag=TAG,
    )


async def _upload(client: Any, blob: StoredBlob, slots: asyncio.Semaphore) -> None:
    async with slots:
        begun = await client.initiate_layer_upload(repository_name=REPOSITORY)
        first = 0
        with blob.path.open("rb", buffering=0) as file:
            while part := await asyncio.to_thread(file.read, begun["part_size"]):
                await client.upload_layer_part(
                    repository_name=REPOSITORY,
                    upload_id=begun["upload_id"],
                    part_first_byte=first,
                    part_last_byte=first + len(part) - 1,
                    layer_part_blob=part,
                )
                first += len(part)
        await client.complete_layer_upload(
            repository_name=REPOSITORY, upload_id=begun["upload_id"], layer_digests=[blob.digest]
        )
