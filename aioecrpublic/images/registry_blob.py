"""One blob of a registry: a stream that is taken up again where it broke."""

from __future__ import annotations

import asyncio
import io
from asyncio import sleep
from typing import TYPE_CHECKING

from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.handles import check_range
from aioecrpublic.images.pages import Pages
from aioecrpublic.images.registry_headers import check_encodings, content_length, parse_content_range
from aioecrpublic.images.registry_http import (
    NETWORK_ERRORS,
    TransientError,
    backoff,
    describe,
    failure,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aioecrpublic._common.http import Response
    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.source import BlobReader

_MAX_RECONNECTS = 100
"""In a row; a server that breaks off again and again after a few bytes is not followed for ever."""
_WORTH_IT = 1024 * 1024
"""Bytes after which a connection that breaks does not count: some servers close one that is read slowly."""
_READ = 256 * 1024
_LARGE = 1024 * 1024
"""Bytes from which a range is worth pages of its own."""
_END_TIME = 5.0
"""Seconds to wait for the end of a body whose last byte is there."""
_OK = 200
_PARTIAL = 206
_NOT_FOUND = 404
_RANGE_REFUSED = frozenset({_OK, 400, 416})


class RegistryBlob:
    """A blob that is read from a registry.

    Reading it in order takes one request. Reading elsewhere, or going on after the connection broke, takes
    another one with a `Range`.

    Args:
        descriptor: what the blob is.
        request: sends a GET for the blob with some headers, and returns the response, whatever its status.
        name: for messages.
        max_attempts: failures in a row, without a byte between them, before giving up.
        on_close: told when the blob is closed.
    """

    buffered = True

    def __init__(
        self,
        descriptor: Descriptor,
        request: Callable[[dict[str, str]], Awaitable[Response]],
        name: str,
        max_attempts: int,
        on_close: Callable[[RegistryBlob], None],
    ) -> None:
        self.descriptor = descriptor
        self._on_close = on_close
        self._request = request
        self._name = name
        self._max_attempts = max_attempts
        self._response: Response | None = None
        self._position = 0
        self._reconnects = 0
        self._streamed = 0
        self._closed_ranges = False
        self._closed = False
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Ask for the blob from its start.

        Raises:
            ImageError: it is missing or has another size.
        """
        async with self._lock:
            await self._connect(0)

    async def read(self, offset: int, length: int) -> bytes | BlobReader:
        """Return `length` bytes from `offset`, with no more than these held in memory.

        Raises:
            ImageError: the registry does not give them, or gives more than the blob's size.
            ValueError: the range is not within the blob.
        """
        check_range(offset, length, self.descriptor.size)
        async with self._lock:
            if self._closed:
                raise ImageError(f"{self._name}: read after it was closed")
            if length < _LARGE:
                small = io.BytesIO()
                await self._fill(small, offset, length)
                return small.getvalue()
            large = Pages(length)
            await self._fill(large, offset, length)
            return large

    async def close(self) -> None:
        """Break off the stream."""
        self._closed = True
        self._disconnect()
        self._on_close(self)

    async def _fill(self, buffer: io.BytesIO | Pages, offset: int, length: int) -> None:
        """Write the range into `buffer`, whatever breaks on the way."""
        done = failures = 0
        while done < length:
            try:
                data = await self._next(offset + done, length - done)
                buffer.write(data)
                done += len(data)
                failures = 0
            except (TransientError, *NETWORK_ERRORS) as error:
                self._disconnect()
                failures += 1
                self._reconnects = 0 if self._streamed >= _WORTH_IT else self._reconnects + 1
                if failures >= self._max_attempts or self._reconnects > _MAX_RECONNECTS:
                    raise ImageError(
                        f"{self._name}: {describe(error)} at byte {offset + done} ({failures} attempts)"
                    ) from error
                await sleep(backoff(failures))
        if self._position == self.descriptor.size:
            await self._finish()

    async def _next(self, position: int, limit: int) -> bytes:
        """Return at least one and at most `limit` bytes from `position`."""
        if self._response is None or self._position != position:
            await self._connect(position)
        if self._response is None:
            raise ImageError(f"{self._name}: read after it was closed")
        data = await self._response.read(min(limit, _READ))
        if not data:
            raise TransientError("the registry has sent too few bytes")
        self._position += len(data)
        self._streamed += len(data)
        return data

    async def _connect(self, position: int) -> None:
        self._disconnect()
        response = await self._request(self._range(position))
        if self._is_refused(response, position):
            # Some take no range without an end.
            response.close()
            self._closed_ranges = True
            response = await self._request(self._range(position))
        if self._closed:
            response.close()
            raise ImageError(f"{self._name}: closed while it was being opened")
        self._response = response
        self._position = await self._check(response, position)
        while self._position < position:
            # A registry that knows no ranges sends everything again.
            await self._next(self._position, position - self._position)
        self._streamed = 0

    def _range(self, position: int) -> dict[str, str]:
        if not position:
            return {}
        return {"Range": f"bytes={position}-{self.descriptor.size - 1 if self._closed_ranges else ''}"}

    def _is_refused(self, response: Response, position: int) -> bool:
        """Say whether a range without an end is refused or ignored; one with an end may not be."""
        return position > 0 and not self._closed_ranges and response.status in _RANGE_REFUSED

    async def _check(self, response: Response, position: int) -> int:
        """Check what the registry says of its response, and return the position it starts at."""
        check_encodings(response.headers, self._name)
        if response.status == _NOT_FOUND:
            response.close()
            raise ImageError(f"{self._name} is missing")
        if response.status == _OK:
            self._check_size(content_length(response.headers))
            return 0
        if response.status == _PARTIAL and position:
            self._check_content_range(response, position)
            return position
        raise ImageError(f"{self._name}: {await failure(response)}")

    def _check_content_range(self, response: Response, position: int) -> None:
        stated = parse_content_range(response.headers)
        self._check_size(None if stated is None else stated.size)
        if stated is None or stated.first != position or not position <= stated.last < self.descriptor.size:
            said = shown(response.headers.get("Content-Range", ""))
            self._disconnect()
            raise ImageError(
                f"{self._name}: the bytes from {position} were asked for, and the registry sends others: "
                f"Content-Range is {said}"
            )

    def _check_size(self, size: int | None) -> None:
        if size is not None and size != self.descriptor.size:
            self._disconnect()
            raise ImageError(f"{self._name} has {size} bytes, but its descriptor says {self.descriptor.size}")

    async def _finish(self) -> None:
        """Check that nothing follows the last byte, so that the connection can be used again."""
        if self._response is None:
            return
        try:
            async with asyncio.timeout(_END_TIME):
                more = await self._response.read(1)
        except NETWORK_ERRORS:
            more = b""  # what was sent before is complete
        if more:
            self._disconnect()
            raise ImageError(f"{self._name}: the registry sends more than {self.descriptor.size} bytes")
        self._response.close()
        self._response = None

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
