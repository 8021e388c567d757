"""Canned replies from a process of its own, so that what is measured is the client."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.tools.benchmarks.sink import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def sink() -> Generator[str]:
    """A running sink: the URL that it listens at."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@functools.cache
def _reply(results: int | None) -> bytes:
    """A whole HTTP reply, of the size that the service's have."""
    body: dict[str, Any] = {"registries": []}
    if results is not None:
        body = {"repositories": [_repository(number) for number in range(results)]}
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
        "x-amzn-RequestId: 3a3c1a48-6b5e-4c0f-9c53-2c9e2b1b6a10\r\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _repository(number: int) -> dict[str, object]:
    """One repository as the service describes it."""
    name = f"team/application-{number}"
    return {
        "repositoryArn": f"arn:aws:ecr-public::123456789012:repository/{name}",
        "registryId": "123456789012",
        "repositoryName": name,
        "repositoryUri": f"public.ecr.aws/a1b2c3d4/{name}",
        "createdAt": dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() + number / 8,
    }


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._transport.write(_reply(json.loads(rest[:length] or b"{}").get("maxResults")))


async def _serve() -> None:
    """Answer until the process is ended; the port is the only line of the output."""
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
