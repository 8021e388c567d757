"""A registry that sends what it is told to, byte for byte, and hangs up."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import attrs

from aioecrpublic.images import Descriptor
from tests.support.oci import OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    import ssl

BLOB = bytes(range(256)) * 10
CONFIG = Descriptor(media_type="a/b", digest=digest_of(BLOB), size=len(BLOB))
MANIFEST = json.dumps({
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": {"mediaType": "a/b", "digest": CONFIG.digest, "size": CONFIG.size},
    "layers": [],
}).encode()  # fmt: skip
LISTING = json.dumps({
    "schemaVersion": 2,
    "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest_of(MANIFEST), "size": len(MANIFEST)}],
}).encode()  # fmt: skip


@attrs.frozen
class Reply:
    """What the socket sends.

    Attributes:
        raw: The bytes.
        silent: Whether the connection then stays open.
    """

    raw: bytes
    silent: bool = False

    @classmethod
    def of(cls, status: int, reason: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Reply:
        head = b"HTTP/1.1 %d %s\r\n" % (status, reason)
        head += b"".join(b"%s: %s\r\n" % header for header in headers)
        lengths = {b"Content-Length", b"Transfer-Encoding"}
        if not any(name in lengths for name, _ in headers) and b"ECHO" not in body:
            head += b"Content-Length: %d\r\n" % len(body)
        return cls(head + b"\r\n" + body)


def good(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> Reply:
    return Reply.of(status, b"OK", list(headers), body)


GOOD = {
    "manifests": good(MANIFEST, (b"Content-Type", OCI_MANIFEST.encode())),
    "referrers": good(LISTING),
    "blobs": good(BLOB),
    "token": good(b'{"token":"t"}'),
    "other": good(b"{}"),
}


class Scripted:
    """A registry that sends what it is told to.

    In a reply, ``HOST`` stands for the registry's own address, and ``ECHO`` for what the request has said of
    who we are.

    Args:
        tls: Its certificate; None speaks plain http.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.replies: dict[str, list[Reply]] = {}
        """What is sent to each kind of request, one after the other; the last then again and again."""
        self.asked: list[str] = []
        self.host = ""
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\nContent-Length: ([0-9]+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.asked.append(self._kind(head))
            replies = self.replies[self.asked[-1]]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            sent = re.search(rb"(?i)\r\nAuthorization: ([^\r]*)", head)
            echo = (sent[1] if sent else b"") + body
            writer.write(reply.raw.replace(b"HOST", self.host.encode()).replace(b"ECHO", echo))
            await writer.drain()
            if reply.silent:
                await reader.read()
        self._open.discard(writer)
        writer.close()

    @staticmethod
    def _kind(head: bytes) -> str:
        path = head.split(b" ", 2)[1].decode("ascii", "replace")
        return next((kind for kind in GOOD if f"/{kind}" in path), "other")
