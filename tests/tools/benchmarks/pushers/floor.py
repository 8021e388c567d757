"""What cannot be undercut: the work that the protocol asks for, with no client around it.

Each byte is read, encoded, hashed for the signature and given to a blocking socket, slice by slice, by two
threads that take layer after layer. No real client can be this fast: the signature stands before the body, so
the bytes have to be passed over twice, or kept. ``checked`` also computes the digest of every layer, as a
client must that does not leave that to the service.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pybase64

from tests.tools.benchmarks.job import REPOSITORY, TAG, read_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.tools.benchmarks.job import Job, StoredBlob, StoredImage

THREADS = 2
_SLICE = 768 * 1024


@contextmanager
def plain(job: Job) -> Generator[Callable[[], object]]:
    """The least that the protocol asks for."""
    yield lambda: _push(job, digests=False)


@contextmanager
def checked(job: Job) -> Generator[Callable[[], object]]:
    """The same, with the digest of every layer computed."""
    yield lambda: _push(job, digests=True)


def _push(job: Job, *, digests: bool) -> None:
    image = read_layout(job.layout)
    waiting: queue.SimpleQueue[StoredBlob] = queue.SimpleQueue()
    for blob in image.blobs:
        waiting.put(blob)
    with _Wire(job) as wire:
        for batch in image.batches:
            wire.call("BatchCheckLayerAvailability", {"layerDigests": batch})
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(_upload_all, job, waiting, digests=digests) for _ in range(THREADS)]:
            done.result()
    _put(job, image)


def _put(job: Job, image: StoredImage) -> None:
    with _Wire(job) as wire:
        wire.call(
            "PutImage",
            {"imageManifest": image.manifest, "imageDigest": image.digest, "imageTag": TAG},
        )


def _upload_all(job: Job, waiting: queue.SimpleQueue[StoredBlob], *, digests: bool) -> None:
    with _Wire(job) as wire:
        while True:
            try:
                blob = waiting.get_nowait()
            except queue.Empty:
                return
            begun = wire.call("InitiateLayerUpload", {})
            digest = hashlib.sha256() if digests else None
            for first in range(0, blob.size, begun["partSize"]):
                length = min(begun["partSize"], blob.size - first)
                wire.upload(begun["uploadId"], blob, first, length, digest)
            if digest is not None and f"sha256:{digest.hexdigest()}" != blob.digest:
                raise ValueError(f"{blob.digest} is damaged")
            wire.call("CompleteLayerUpload", {"uploadId": begun["uploadId"], "layerDigests": [blob.digest]})


class _Wire:
    """One connection, and just enough HTTP."""

    def __init__(self, job: Job) -> None:
        url = urlsplit(job.endpoint_url)
        self._connection = socket.create_connection((url.hostname, url.port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if job.authority is not None:
            context = ssl.create_default_context(cafile=job.authority)
            self._connection = context.wrap_socket(self._connection, server_hostname=url.hostname)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, operation: str, members: dict[str, Any]) -> Any:
        """One small call."""
        body = json.dumps({"repositoryName": REPOSITORY, **members}).encode()
        self._connection.sendall(_head(operation, len(body)) + body)
        return self._reply()

    def upload(self, upload_id: str, blob: StoredBlob, first: int, length: int, digest: Any) -> None:
        """One part, from the file to the socket."""
        members = {"repositoryName": REPOSITORY, "uploadId": upload_id, "partFirstByte": first}
        before = json.dumps({**members, "partLastByte": first + length - 1, "layerPartBlob": ""})[
            :-2
        ].encode()
        after = b'"}'
        total = len(before) + 4 * ((length + 2) // 3) + len(after)
        payload = hashlib.sha256(before)
        self._connection.sendall(_head("UploadLayerPart", total) + before)
        descriptor = os.open(blob.path, os.O_RDONLY)
        try:
            for offset in range(first, first + length, _SLICE):
                data = os.pread(descriptor, min(_SLICE, first + length - offset), offset)
                encoded = pybase64.b64encode(data)
                if digest is not None:
                    digest.update(data)
                payload.update(encoded)
                self._connection.sendall(encoded)
        finally:
            os.close(descriptor)
        payload.update(after)
        payload.hexdigest()
        self._connection.sendall(after)
        self._reply()

    def _reply(self) -> Any:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._receive()
        return json.loads(body)

    def _receive(self) -> bytes:
        data = self._connection.recv(65536)
        if not data:
            raise ConnectionError("the sink hung up")
        return data


def _head(operation: str, length: int) -> bytes:
    return (
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.1\r\n"
        f"X-Amz-Target: SpencerFrontendService.{operation}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
