"""TLS, proxies and connections that do not come about, with real sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import trustme

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic._runtime.body import TLS_SLICE
from aioecrpublic.errors import ConnectError, TimeoutError  # noqa: A004 - the package's own
from tests.support.tunnel import Tunnel
from tests.support.wire import Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CREDENTIALS = Credentials("AKIDEXAMPLE", "a-secret")
# A name that only a proxy knows; this machine itself is not reached by one.
ELSEWHERE = "registry.invalid"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[Wire]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", ELSEWHERE).configure_cert(context)
    async with Wire(context) as server:
        yield server


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))


# TLS


@pytest.mark.usefixtures("trusted")
async def test_a_bundle_of_the_environment_is_trusted(secure: Wire) -> None:
    blob = os.urandom(2 * TLS_SLICE + 1)
    async with ECRPublicClient("us-east-1", secure.url, CREDENTIALS) as client:
        await client.describe_registries()
        await client.upload_layer_part(
            repository_name="app",
            upload_id="01234567-89ab-cdef-0123-456789abcdef",
            part_first_byte=0,
            part_last_byte=len(blob) - 1,
            layer_part_blob=blob,
        )
    assert secure.connections == 1
    assert base64.b64decode(secure.requests[1].json["layerPartBlob"]) == blob


async def test_a_certificate_of_nobody_known_is_refused_at_once(secure: Wire) -> None:
    async with ECRPublicClient("us-east-1", secure.url, CREDENTIALS) as client:
        with pytest.raises(ConnectError, match="no secure connection") as caught:
            await client.describe_registries()
    assert (caught.value.transient, caught.value.attempts) == (False, 1)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError | OSError)
    assert secure.requests == []


# Proxies


async def test_plain_requests_go_through_a_proxy(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Tunnel(wire.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@{proxy.address}")
        async with ECRPublicClient("us-east-1", f"http://{ELSEWHERE}", CREDENTIALS) as client:
            await client.describe_registries()
    assert proxy.heads[0].startswith(f"POST http://{ELSEWHERE}/ HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"user:pass") in proxy.heads[0]
    assert wire.requests[0].headers["Host"] == ELSEWHERE


@pytest.mark.usefixtures("trusted")
async def test_secure_requests_go_through_a_tunnel(secure: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Tunnel(secure.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        async with ECRPublicClient("us-east-1", f"https://{ELSEWHERE}", CREDENTIALS) as client:
            await client.describe_registries()
    assert proxy.heads[0].startswith(f"CONNECT {ELSEWHERE}:443 HTTP/1.1\r\n".encode())
    # What is inside of the tunnel is none of the proxy's business.
    assert b"Authorization" not in proxy.heads[0]
    assert len(secure.requests) == 1


async def test_this_machine_is_spoken_to_directly(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Tunnel(wire.port, status=502) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
            await client.describe_registries()
    assert proxy.heads == []


@pytest.mark.usefixtures("trusted", "delays")
@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (502, 3)])
async def test_a_proxy_that_refuses_is_named(
    secure: Wire, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    async with Tunnel(secure.port, status=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        async with ECRPublicClient("us-east-1", f"https://{ELSEWHERE}", CREDENTIALS) as client:
            with pytest.raises(ConnectError, match=f"the proxy answered with status {status}") as caught:
                await client.describe_registries()
    assert (caught.value.attempts, len(proxy.heads)) == (attempts, attempts)


@pytest.mark.parametrize("by_proxy", [False, True])
async def test_addresses_of_ipv6_are_reached(
    by_proxy: bool,  # noqa: FBT001 - cases
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(2)
        writer.write(answer(headers={"Connection": "close"}))
        writer.close()

    server = await asyncio.start_server(answered, "::1", 0)
    authority = f"[::1]:{server.sockets[0].getsockname()[1]}"
    url = f"http://{authority}"
    if by_proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@{authority}")
        url = "http://[2001:db8::1]:8080"
    async with ECRPublicClient("us-east-1", url, CREDENTIALS, max_attempts=1) as client:
        await client.describe_registries()
        assert client.endpoint_url == url
    target = "http://[2001:db8::1]:8080/" if by_proxy else "/"
    assert seen[0].startswith(f"POST {target} HTTP/1.1\r\nHost: {url.partition('//')[2]}\r\n".encode())
    server.close()


# No connection


async def test_a_peer_that_does_not_accept_is_a_timeout() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        url = "http://{}:{}".format(*full.getsockname())
        async with ECRPublicClient(
            "us-east-1", url, CREDENTIALS, connect_timeout=0.2, max_attempts=1
        ) as client:
            with pytest.raises(TimeoutError, match=r"no connection within 0\.2 s"):
                await client.describe_registries()


async def test_a_connection_that_was_closed_meanwhile_is_made_again(wire: Wire) -> None:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
        wire.answers = [answer(headers={"Connection": "close"})]
        await client.describe_registries()
        await client.describe_registries()
    assert (wire.connections, len(wire.requests)) == (2, 2)
