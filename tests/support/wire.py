"""A small HTTP server that answers what it is told to, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

import attrs
from multidict import CIMultiDict

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping


@attrs.frozen
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def operation(self) -> str:
        return self.headers["X-Amz-Target"].rpartition(".")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.frozen
class Raw:
    """Bytes to send as they are; then the connection is closed."""

    data: bytes


def answer(
    body: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
) -> bytes:
    """A whole reply: ``body`` as JSON, or ``data`` as it is."""
    content = data if data is not None else json.dumps({} if body is None else body).encode()
    lines = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-RequestId": "0123-4567",
        **(headers or {}),
        "Content-Length": str(len(content)),
    }
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + content


def error(code: str, *, status: int = 400, headers: Mapping[str, str] | None = None, **members: Any) -> bytes:
    """An error as the service words it."""
    return answer({"__type": code, "message": "no", **members}, status=status, headers=headers)


class Wire:
    """Answers from ``answers`` in their order, then ``default``; a callable is asked, and may take time.

    Args:
        context: What it shows of itself; ``None`` is plain HTTP.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.answers: list[bytes | Raw | Callable[[Received], bytes | Raw | Awaitable[bytes | Raw]]] = []
        self.default: bytes | Callable[[Received], bytes] = answer()
        self.requests: list[Received] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26, ssl=self._context)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"{'https' if self._context else 'http'}://{host}:{port}"
        self.port = port
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self._writers.add(writer)
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                reply = await self._choose(request)
                writer.write(reply.data if isinstance(reply, Raw) else reply)
                await writer.drain()
                if isinstance(reply, Raw):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _choose(self, request: Received) -> bytes | Raw:
        chosen = self.answers.pop(0) if self.answers else self.default
        if not callable(chosen):
            return chosen
        result = chosen(request)
        return result if isinstance(result, bytes | Raw) else await result

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Received | None:
        first = await reader.readline()
        if not first:
            return None
        method, path, _ = first.decode().split(" ", 2)
        headers: CIMultiDict[str] = CIMultiDict()
        while (line := await reader.readline()) not in {b"\r\n", b""}:
            name, _, value = line.decode().partition(":")
            headers.add(name, value.strip())
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        return Received(method, path, headers, body)
