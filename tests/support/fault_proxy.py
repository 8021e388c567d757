"""A proxy that breaks what passes through it, by plan: a process of its own between a client and a registry.

The plan says what happens to the n-th request. Everything it does can happen on a network or at a service;
the registry behind it is a real one and is only ever sent whole requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from multiprocessing.connection import Connection

STALL: Final = 0.25
"""Seconds that a stalled request is held; a test's ``read_timeout`` is to be shorter."""

NETWORK: Final = (
    "cut-before-request",
    "cut-inside-request",
    "cut-after-request",
    "cut-inside-reply",
    "cut-after-reply",
    "stall-before",
    "stall-after",
)
SERVICE: Final = (
    "500",
    "502-html",
    "503-empty",
    "429",
    "throttle",
    "truncated-reply",
    "garbage-reply",
    "duplicate",
    "lost-upload",
    "layers-gone",
)
FAULTS: Final = NETWORK + SERVICE
_STATUS_LINES: Final = {
    "500": (500, "application/x-amz-json-1.1", b'{"__type":"ServerException","message":"oops"}'),
    "502-html": (502, "text/html", b"<html><body>Bad Gateway</body></html>"),
    "503-empty": (503, "text/plain", b""),
    "429": (429, "text/plain", b"slow down"),
    "throttle": (
        400,
        "application/x-amz-json-1.1",
        b'{"__type":"ThrottlingException","message":"Rate exceeded"}',
    ),
}


class FaultProxy:
    """The proxy's handle in the test's process."""

    def __init__(self, pipe: Connection, port: int) -> None:
        self._pipe = pipe
        self.url = f"http://127.0.0.1:{port}"

    def plan(self, faults: dict[int, str], upstream_port: int | None = None) -> None:
        """Count requests from 0 and do to them what ``faults`` says; perhaps before another registry."""
        self._pipe.send((faults, upstream_port))
        self._pipe.recv()

    def seen(self) -> dict[str, Any]:
        """What came by since the plan was made.

        ``requests``, ``part_bytes`` (of the layers, in requests that arrived whole or not), ``faults`` done.
        """
        self._pipe.send(None)
        answer: dict[str, Any] = self._pipe.recv()
        return answer


@contextlib.contextmanager
def fault_proxy(upstream_port: int = 0, pause: float = 0.0) -> Generator[FaultProxy, None, None]:
    """A running proxy in front of ``127.0.0.1:upstream_port``; a plan may name another.

    With a ``pause`` (seconds for each 64 KiB of a body) it is a slow line with little on the way.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(upstream_port, pause, theirs), daemon=True)
    process.start()
    try:
        yield FaultProxy(ours, ours.recv())
    finally:
        process.terminate()
        process.join()
        ours.close()


def _serve(upstream_port: int, pause: float, pipe: Connection) -> None:
    asyncio.run(_Proxy(upstream_port, pause, pipe).run())


class _CutError(Exception):
    """Close the connection, now and without a word."""


class _Proxy:
    def __init__(self, upstream_port: int, pause: float, pipe: Connection) -> None:
        self._upstream_port = upstream_port
        self._pause = pause
        self._pipe = pipe
        self._reset({})

    def _reset(self, faults: dict[int, str]) -> None:
        self._faults = faults
        self._count = 0
        self._part_bytes = 0
        self._done: list[str] = []
        self._lost: set[str] = set()

    async def run(self) -> None:
        listening = socket.socket()
        if self._pause:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        listening.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(self._connection, sock=listening, limit=2**16)
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._command)
        self._pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    def _command(self) -> None:
        try:
            plan = self._pipe.recv()
        except EOFError:
            # The test is gone; there is nothing to tidy up here.
            os._exit(0)
        if plan is None:
            self._pipe.send({"requests": self._count, "part_bytes": self._part_bytes, "faults": self._done})
        else:
            faults, upstream_port = plan
            self._reset(faults)
            self._upstream_port = upstream_port or self._upstream_port
            self._pipe.send("ready")

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (_CutError, ConnectionError, asyncio.IncompleteReadError):
            # A reset rather than a quiet end, as a lost peer looks like.
            writer.transport.abort()
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        number, self._count = self._count, self._count + 1
        fault = self._faults.get(number, "")
        if fault:
            self._done.append(fault)
        if fault == "cut-before-request":
            raise _CutError
        length = _content_length(head)
        part = _operation(head) == "UploadLayerPart"
        if fault == "cut-inside-request":
            await reader.readexactly(length // 2)
            self._part_bytes += length * 3 // 8 if part else 0
            raise _CutError
        body = await self._read(reader, length, counted=part)
        reply = await self._reply(fault, head, body)
        await self._answer(fault, reply, writer)
        return True

    async def _read(self, reader: asyncio.StreamReader, length: int, *, counted: bool) -> bytes:
        pieces = []
        while length:
            piece = await reader.read(min(length, 2**16))
            if not piece:
                raise _CutError
            pieces.append(piece)
            length -= len(piece)
            if self._pause:
                await asyncio.sleep(self._pause)
            if counted:
                # Base64 takes four bytes for three.
                self._part_bytes += len(piece) * 3 // 4
        return b"".join(pieces)

    async def _reply(self, fault: str, head: bytes, body: bytes) -> bytes:
        operation = _operation(head)
        if fault in _STATUS_LINES:
            return _http(*_STATUS_LINES[fault])
        if fault == "stall-before":
            # The request arrives when its sender has long given it up, and sent it again.
            await asyncio.sleep(STALL)
        made_up = self._make_up(fault, operation, body)
        if made_up is not None:
            return made_up
        if fault == "duplicate":
            await self._forward(head, body)
        return await self._forward(head, body)

    def _make_up(self, fault: str, operation: str, body: bytes) -> bytes | None:
        """What only a registry could do, done to the requests instead: uploads and layers that disappear."""
        if operation in {"UploadLayerPart", "CompleteLayerUpload"}:
            upload = json.loads(body)["uploadId"]
            if fault == "lost-upload":
                self._lost.add(upload)
            if upload in self._lost:
                return _error("UploadNotFoundException")
        if fault == "layers-gone" and operation == "PutImage":
            return _error("LayersNotFoundException")
        return None

    async def _answer(self, fault: str, reply: bytes, writer: asyncio.StreamWriter) -> None:
        if fault == "cut-after-request":
            raise _CutError
        if fault == "stall-after":
            await asyncio.sleep(STALL)
            raise _CutError
        if fault == "garbage-reply":
            reply = _http(200, "application/x-amz-json-1.1", b"\x00\xffnot json")
        if fault in {"cut-inside-reply", "truncated-reply"}:
            writer.write(reply[: len(reply) - max(1, len(reply) // 8)])
            await writer.drain()
            if fault == "cut-inside-reply":
                raise _CutError
            writer.write_eof()
            raise _CutError
        writer.write(reply)
        await writer.drain()
        if fault == "cut-after-reply":
            raise _CutError

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        try:
            writer.write(head + body)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            return answer + await reader.readexactly(_content_length(answer))
        finally:
            writer.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _operation(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"x-amz-target":
            return value.decode().strip().rpartition(".")[2]
    return ""


def _error(code: str) -> bytes:
    body = json.dumps({"__type": code, "message": "made up by the proxy"}).encode()
    return _http(400, "application/x-amz-json-1.1", body)


def _http(status: int, kind: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
