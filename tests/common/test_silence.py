"""Each phase of a connection falls silent, or goes on for ever: a call ends within its timeouts.

Plain, by TLS, by a proxy and in its tunnel; for the service's client as for the reader of registries.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import pytest
import trustme
import uvloop

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.errors import ImageError, TimeoutError  # noqa: A004 - the package's own
from aioecrpublic.images import Descriptor, RegistryImage
from tests.support.tunnel import Tunnel
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CREDENTIALS = Credentials("AKIDEXAMPLE", "a-secret")
# A name that only a proxy knows; this machine itself is not reached by one.
ELSEWHERE = "registry.invalid"
SECONDS = 0.25
# What a call may take that has hung, on a machine that has other things to do.
PATIENCE = 20.0
BLOB = bytes(100_000)
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/octet-stream", "digest": DIGEST, "size": len(BLOB)},
        "layers": [],
    }
).encode()
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"


# What a peer may do once it has the request


async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def one_interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    await reader.read()


async def endless_interims(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD)
    await reader.read()


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"X-Long: ")
    await drip(writer)


async def no_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"Content-Length: 100000\r\n\r\n")
    await reader.read()


async def half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"Content-Length: 100000\r\n\r\n{")
    await reader.read()


async def dripping_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"Content-Length: 100000\r\n\r\n")
    await drip(writer)


async def dripping_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"Transfer-Encoding: chunked\r\n\r\n")
    await drip(writer, b"1\r\n \r\n")


async def endless_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Long: ")
    await drip(writer)


async def body_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD + b"\r\n{}")
    await reader.read()


async def drip(writer: asyncio.StreamWriter, piece: bytes = b" ") -> None:
    """A byte each time before the timeout is over."""
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(SECONDS / 5)


SILENCES: list[Behaviour] = [
    nothing,
    one_interim,
    endless_interims,
    half_a_head,
    endless_head,
    no_body,
    half_a_body,
    dripping_body,
    dripping_chunks,
    endless_trailers,
    body_without_end,
]


class Peer:
    """A server that reads a request's head and then does as it is told; counts its open connections."""

    def __init__(self, behaviour: Behaviour, context: ssl.SSLContext | None = None) -> None:
        self._behaviour = behaviour
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = 0
        self.heads: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await self._behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self.open -= 1
            writer.transport.abort()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", ELSEWHERE).configure_cert(context)
    return context, authority


@pytest.fixture
def secure(
    contexts: tuple[ssl.SSLContext, trustme.CA], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    context, authority = contexts
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    return context


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def call_service(url: str, **options: Any) -> None:
    """Make one attempt of a call, which has to end as a timeout."""
    options = {"connect_timeout": SECONDS, "read_timeout": SECONDS, "max_attempts": 1} | options
    async with asyncio.timeout(PATIENCE):
        async with ECRPublicClient("us-east-1", url, CREDENTIALS, **options) as client:
            with pytest.raises(TimeoutError, match=r"within 0\.25 s"):
                await client.describe_registries()


async def read_registry(url: str, **options: Any) -> None:
    """Ask a registry for an image once, which has to end as a timeout."""
    scheme, _, host = url.partition("://")
    options = {"connect_timeout": SECONDS, "read_timeout": SECONDS, "max_attempts": 1} | options
    source = RegistryImage(f"{host}/app:1", insecure=scheme == "http", anonymous=True, **options)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ImageError, match="timed out"):
            await source.open()
        await source.close()


callers = pytest.mark.parametrize("call", [call_service, read_registry])


# The reply


@callers
@pytest.mark.parametrize("behaviour", SILENCES)
@pytest.mark.parametrize("way", ["plain", "tls", "proxy", "tunnel"])
async def test_a_reply_that_does_not_come_is_a_timeout(
    way: str,
    behaviour: Behaviour,
    call: Callable[[str], Awaitable[None]],
    secure: ssl.SSLContext,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encrypted = way in {"tls", "tunnel"}
    peer = await stack.enter_async_context(Peer(behaviour, secure if encrypted else None))
    host = f"127.0.0.1:{peer.port}"
    if way in {"proxy", "tunnel"}:
        proxy = await stack.enter_async_context(Tunnel(peer.port))
        monkeypatch.setenv("HTTPS_PROXY" if encrypted else "HTTP_PROXY", f"http://{proxy.address}")
        host = ELSEWHERE
    await call(f"{'https' if encrypted else 'http'}://{host}")
    assert len(peer.heads) == 1
    # Nothing is left behind.
    await until(lambda: peer.open == 0)


@pytest.mark.parametrize("behaviour", [one_interim, endless_interims, endless_head, dripping_body])
async def test_a_session_of_the_users_has_the_same_limits(
    behaviour: Behaviour, stack: AsyncExitStack
) -> None:
    peer = await stack.enter_async_context(Peer(behaviour))
    session = await stack.enter_async_context(aiohttp.ClientSession())
    await call_service(f"http://127.0.0.1:{peer.port}", session=session)
    await read_registry(f"http://127.0.0.1:{peer.port}", session=session)
    assert not session.closed
    await until(lambda: peer.open == 0)


@pytest.mark.parametrize("behaviour", [no_body, half_a_body, dripping_body, dripping_chunks])
async def test_a_blob_that_does_not_come_is_a_timeout(behaviour: Behaviour, stack: AsyncExitStack) -> None:
    async def registry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/manifests/" in peer.heads[-1]:
            writer.write(GOOD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(MANIFEST) + MANIFEST)
            await writer.drain()
        else:
            await behaviour(reader, writer)

    peer = await stack.enter_async_context(Peer(registry))
    reference = f"127.0.0.1:{peer.port}/app:1"
    blob = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=len(BLOB))
    async with (
        asyncio.timeout(PATIENCE),
        RegistryImage(reference, anonymous=True, read_timeout=SECONDS, max_attempts=1) as source,
    ):
        reader = await source.open_blob(blob)
        with pytest.raises(ImageError, match="timed out at byte"):
            await reader.read(0, len(BLOB))


async def test_a_blob_may_take_its_time_if_it_comes(stack: AsyncExitStack) -> None:
    async def registry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/manifests/" in peer.heads[-1]:
            writer.write(GOOD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(MANIFEST) + MANIFEST)
        else:
            writer.write(GOOD + b"Content-Length: %d\r\n\r\n" % len(BLOB))
            for start in range(0, len(BLOB), 10_000):
                writer.write(BLOB[start : start + 10_000])
                await writer.drain()
                await asyncio.sleep(SECONDS / 2)
        await writer.drain()

    peer = await stack.enter_async_context(Peer(registry))
    blob = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=len(BLOB))
    async with RegistryImage(
        f"127.0.0.1:{peer.port}/app:1", anonymous=True, read_timeout=SECONDS, max_attempts=1
    ) as source:
        reader = await source.open_blob(blob)
        assert await reader.read(0, len(BLOB)) == BLOB
        # The time that its reader takes is not the registry's.
        await asyncio.sleep(2 * SECONDS)


# The connection


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Names below ``silent.test`` are never resolved."""
    resolve, ended = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith("silent.test"):
            ended.wait(60)
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    ended.set()


@callers
@pytest.mark.usefixtures("unanswered")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_is_never_resolved_is_a_timeout(
    scheme: str, call: Callable[[str], Awaitable[None]]
) -> None:
    await call(f"{scheme}://silent.test")


@callers
@pytest.mark.usefixtures("unanswered")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxys_name_that_is_never_resolved_is_a_timeout(
    scheme: str, call: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", "http://silent.test:3128")
    await call(f"{scheme}://{ELSEWHERE}")


@callers
@pytest.mark.parametrize("way", ["plain", "tls", "proxy", "tunnel"])
async def test_a_peer_that_does_not_accept_is_a_timeout(
    way: str, call: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        host = "{}:{}".format(*full.getsockname())
        scheme = "https" if way in {"tls", "tunnel"} else "http"
        if way in {"proxy", "tunnel"}:
            monkeypatch.setenv(f"{scheme}_proxy", f"http://{host}")
            host = ELSEWHERE
        await call(f"{scheme}://{host}")


@callers
@pytest.mark.parametrize("way", ["tls", "tunnel", "tls to the proxy"])
async def test_a_handshake_that_is_not_answered_is_a_timeout(
    way: str, call: Callable[[str], Awaitable[None]], stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    host = f"127.0.0.1:{port}"
    if way != "tls":
        proxy = await stack.enter_async_context(Tunnel(port))
        address = f"https://{host}" if way == "tls to the proxy" else f"http://{proxy.address}"
        monkeypatch.setenv("HTTPS_PROXY", address)
        host = ELSEWHERE
    await call(f"https://{host}")
    server.close()


@callers
@pytest.mark.parametrize("behaviour", [nothing, one_interim, endless_interims, half_a_head, endless_head])
async def test_a_proxy_that_makes_no_tunnel_is_a_timeout(
    behaviour: Behaviour,
    call: Callable[[str], Awaitable[None]],
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = await stack.enter_async_context(Peer(behaviour))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    await call(f"https://{ELSEWHERE}")
    assert proxy.heads[0].startswith(b"CONNECT ")
    await until(lambda: proxy.open == 0)


# The request, the pool, the end


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read nothing more: what is sent fills the buffers of both sides."""
    transport: Any = writer.transport
    transport.pause_reading()
    await asyncio.sleep(60)


@pytest.mark.parametrize("way", ["plain", "tls", "proxy", "tunnel"])
async def test_a_peer_that_takes_no_data_is_a_timeout(
    way: str, secure: ssl.SSLContext, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted = way in {"tls", "tunnel"}
    peer = await stack.enter_async_context(Peer(deaf, secure if encrypted else None))
    host = f"127.0.0.1:{peer.port}"
    if way in {"proxy", "tunnel"}:
        proxy = await stack.enter_async_context(Tunnel(peer.port))
        monkeypatch.setenv(f"{'https' if encrypted else 'http'}_proxy", f"http://{proxy.address}")
        host = ELSEWHERE
    url = f"{'https' if encrypted else 'http'}://{host}"
    async with asyncio.timeout(PATIENCE):
        async with ECRPublicClient(
            "us-east-1", url, CREDENTIALS, connect_timeout=5, read_timeout=SECONDS, max_attempts=1
        ) as client:
            with pytest.raises(TimeoutError, match=r"within 0\.25 s"):
                await upload(client)


async def upload(client: ECRPublicClient) -> None:
    await client.upload_layer_part(
        repository_name="app",
        upload_id="01234567-89ab-cdef-0123-456789abcdef",
        part_first_byte=0,
        part_last_byte=19_999_999,
        layer_part_blob=bytes(20_000_000),
    )


async def test_an_expectation_that_is_not_met_is_a_timeout(stack: AsyncExitStack) -> None:
    class Expecting:
        async def before_send(self, event: Any) -> None:
            event.headers["Expect"] = "100-continue"

    peer = await stack.enter_async_context(Peer(nothing))
    await call_service(f"http://127.0.0.1:{peer.port}", hooks=[Expecting()])
    session = await stack.enter_async_context(aiohttp.ClientSession())
    await call_service(f"http://127.0.0.1:{peer.port}", hooks=[Expecting()], session=session)


async def test_a_pool_that_does_not_move_is_a_timeout(stack: AsyncExitStack) -> None:
    peer = await stack.enter_async_context(Peer(nothing))
    async with ECRPublicClient(
        "us-east-1", f"http://127.0.0.1:{peer.port}", CREDENTIALS, max_connections=1, max_attempts=1
    ) as client:
        holding = asyncio.ensure_future(client.describe_registries())
        await until(lambda: peer.open == 1)
        with pytest.raises(TimeoutError, match=r"no connection was free within 0\.25 s"):
            await client.with_options(read_timeout=SECONDS).describe_registries()
        holding.cancel()
        await asyncio.wait([holding])


async def test_a_pool_that_moves_is_waited_for(stack: AsyncExitStack) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SECONDS / 2)
        writer.write(GOOD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    peer = await stack.enter_async_context(Peer(slow))
    url = f"http://127.0.0.1:{peer.port}"
    async with ECRPublicClient(
        "us-east-1",
        url,
        CREDENTIALS,
        max_connections=1,
        max_attempts=1,
        read_timeout=4 * SECONDS,
        rate_limits=False,
    ) as client:
        # All of them together take longer than one may.
        await asyncio.gather(*(client.describe_registries() for _ in range(12)))
    assert len(peer.heads) == 12


@pytest.mark.parametrize("encrypted", [False, True])
async def test_closing_a_client_waits_for_no_peer(
    encrypted: bool,  # noqa: FBT001 - cases
    secure: ssl.SSLContext,
    stack: AsyncExitStack,
) -> None:
    peer = await stack.enter_async_context(Peer(deaf, secure if encrypted else None))
    url = f"{'https' if encrypted else 'http'}://127.0.0.1:{peer.port}"
    client = await ECRPublicClient("us-east-1", url, CREDENTIALS, max_attempts=1).open()
    uploading = asyncio.ensure_future(upload(client))
    calling = asyncio.ensure_future(client.describe_registries())
    await until(lambda: len(peer.heads) == 2)
    async with asyncio.timeout(PATIENCE):
        await client.close()
        await asyncio.wait([uploading, calling])
    assert uploading.exception() is not None
    assert calling.exception() is not None


def test_the_limits_hold_under_uvloop() -> None:
    async def fall_silent() -> None:
        for behaviour in (nothing, one_interim, endless_head, dripping_body):
            async with Peer(behaviour) as peer:
                url = f"http://127.0.0.1:{peer.port}"
                await call_service(url)
                await read_registry(url)
                await until(lambda peer=peer: peer.open == 0)  # type: ignore[misc]
        async with Peer(deaf) as peer:
            url = f"http://127.0.0.1:{peer.port}"
            client = await ECRPublicClient("us-east-1", url, CREDENTIALS, max_attempts=1).open()
            uploading = asyncio.ensure_future(upload(client))
            await until(lambda: len(peer.heads) == 1)
            await client.close()
            await asyncio.wait([uploading])
            assert uploading.exception() is not None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fall_silent())


def test_a_resolver_that_hangs_does_not_keep_the_process() -> None:
    code = """
import asyncio, socket, time
from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.images import RegistryImage
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
options = {"connect_timeout": 0.3, "read_timeout": 0.3, "max_attempts": 1}
async def call():
    async with ECRPublicClient("us-east-1", "http://a.test", Credentials("a", "b"), **options) as client:
        await client.describe_registries()
async def read():
    async with RegistryImage("b.test/app:1", anonymous=True, **options):
        pass
async def main():
    for work in call, read:
        try:
            await work()
        except Exception as error:
            print(type(error).__name__)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.stdout, done.stderr, done.returncode) == ("TimeoutError\nImageError\n", "", 0)
