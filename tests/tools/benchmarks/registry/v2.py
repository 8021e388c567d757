"""A registry client that adds next to nothing to aiohttp: pushes as docker does, pulls and counts."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import attrs

from tests.tools.benchmarks.job import read_layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp

    from tests.tools.benchmarks.job import StoredImage

_SLICE: Final = 256 * 1024


@attrs.frozen
class Image:
    """An image in memory.

    Attributes:
        layout: The directory that it was read from.
        stored: Its manifest, and what it refers to.
        blobs: The bytes of its layers and config, by digest.
    """

    layout: str
    stored: StoredImage
    blobs: dict[str, bytes]

    @classmethod
    def read(cls, layout: str) -> Image:
        """The one image in a layout."""
        stored = read_layout(layout)
        return cls(layout, stored, {blob.digest: blob.path.read_bytes() for blob in stored.blobs})

    @property
    def tag(self) -> str:
        """The tag that it gets."""
        return self.stored.digest[7:19]

    @property
    def size(self) -> int:
        """Bytes of the manifest and of what it refers to."""
        return len(self.stored.manifest.encode()) + sum(len(data) for data in self.blobs.values())


@attrs.frozen
class V2Client:
    """One client of one repository.

    Attributes:
        session: Its connections, with its headers.
        root: The URL of the repository.
        at_once: Blobs under way at once.
    """

    session: aiohttp.ClientSession
    root: str
    at_once: int

    async def push(self, image: Image) -> None:
        """Push blobs, then the manifest."""
        limit = asyncio.Semaphore(self.at_once)

        async def push(digest: str, data: bytes) -> None:
            async with limit:
                await self._push_blob(digest, data)

        async with asyncio.TaskGroup() as group:
            for digest, data in image.blobs.items():
                group.create_task(push(digest, data))
        await self._send(
            "PUT",
            f"{self.root}/manifests/{image.tag}",
            image.stored.manifest.encode(),
            201,
            {"Content-Type": image.stored.media_type},
        )

    async def pull(self, image: Image) -> int:
        """Pull the manifest, then the blobs; how many bytes came."""
        limit = asyncio.Semaphore(self.at_once)

        async def pull(digest: str) -> int:
            async with limit:
                return await self._pull(f"blobs/{digest}")

        size = await self._pull(f"manifests/{image.tag}", {"Accept": image.stored.media_type})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pull(digest)) for digest in image.blobs]
        return size + sum(task.result() for task in tasks)

    async def check(self, image: Image) -> None:
        """Hold that the manifest, the config and the last layer come as they were pushed.

        Raises:
            ValueError: They do not.
        """
        digests = list(image.blobs)
        wanted = {f"manifests/{image.tag}": image.stored.digest}
        wanted |= {f"blobs/{digest}": digest for digest in (digests[0], digests[-1])}
        for path, digest in wanted.items():
            found = hashlib.sha256()
            await self._pull(path, {"Accept": f"{image.stored.media_type}, */*"}, found.update)
            if f"sha256:{found.hexdigest()}" != digest:
                raise ValueError(f"{path} is not what was pushed")

    async def _push_blob(self, digest: str, data: bytes) -> None:
        location = await self._send("POST", f"{self.root}/blobs/uploads/", b"", 202)
        length = {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
        location = await self._send("PATCH", location, _slices(data), 202, length)
        mark = "&" if "?" in location else "?"
        await self._send("PUT", f"{location}{mark}digest={digest}", b"", 201)

    async def _send(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterator[memoryview],
        status: int,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Send a request that has to be answered by ``status``; where the reply leads."""
        async with self.session.request(method, url, data=body, headers=headers) as response:
            if response.status != status:
                raise ValueError(f"{method} {url}: {response.status} {await response.text()}")
            await response.read()
            return urljoin(str(response.url), response.headers["Location"])

    async def _pull(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        use: Callable[[bytes], object] | None = None,
    ) -> int:
        """Read what is at ``path``; how many bytes that were."""
        size = 0
        async with self.session.get(f"{self.root}/{path}", headers=headers) as response:
            if response.status != 200:
                raise ValueError(f"GET {path}: {response.status} {await response.text()}")
            async for piece in response.content.iter_any():
                size += len(piece)
                if use is not None:
                    use(piece)
        return size


async def _slices(  # noqa: RUF029 - aiohttp streams what is asynchronous
    data: bytes,
) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]
