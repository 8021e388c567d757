"""boto3, one layer after the other, and with a pool of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import boto3

from tests.tools.benchmarks.job import ACCESS_KEY_ID, JOBS, REPOSITORY, SECRET_ACCESS_KEY, TAG, read_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.tools.benchmarks.job import Job, StoredBlob


@contextmanager
def sequential(job: Job) -> Generator[Callable[[], object]]:
    """One layer after the other."""
    with closing(_client(job)) as client:
        yield lambda: _push(client, job, 1)


@contextmanager
def threaded(job: Job) -> Generator[Callable[[], object]]:
    """As many layers at a time as we have."""
    with closing(_client(job)) as client:
        yield lambda: _push(client, job, JOBS)


def _client(job: Job) -> Any:
    return boto3.client(
        "ecr-public",
        region_name="us-east-1",
        endpoint_url=job.endpoint_url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )


def _push(client: Any, job: Job, threads: int) -> None:
    image = read_layout(job.layout)
    missing: set[str] = set()
    for batch in image.batches:
        reply = client.batch_check_layer_availability(repositoryName=REPOSITORY, layerDigests=batch)
        missing.update(x["layerDigest"] for x in reply["layers"] if x["layerAvailability"] != "AVAILABLE")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda blob: _upload(client, blob), (b for b in image.blobs if b.digest in missing)))
    client.put_image(
        repositoryName=REPOSITORY,
        imageManifest=image.manifest,
        imageManifestMediaType=image.media_type,
        imageDigest=image.digest,
        imageTag=TAG,
    )


def _upload(client: Any, blob: StoredBlob) -> None:
    begun = client.initiate_layer_upload(repositoryName=REPOSITORY)
    first = 0
    with blob.path.open("rb", buffering=0) as file:
        while part := file.read(begun["partSize"]):
            client.upload_layer_part(
                repositoryName=REPOSITORY,
                uploadId=begun["uploadId"],
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            first += len(part)
    client.complete_layer_upload(
        repositoryName=REPOSITORY, uploadId=begun["uploadId"], layerDigests=[blob.digest]
    )
