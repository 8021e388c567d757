"""No error path of a client shows a secret: not in the error, nor in what it came from, nor in the log."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from aioecrpublic import ConfigurationError, Credentials, ECRPublicClient
from aioecrpublic.errors import (
    BrokenReplyError,
    ConnectError,
    CredentialsError,
    ECRPublicError,
    ServiceError,
    TimeoutError,  # noqa: A004 - the package's own
    TransportError,
)
from tests.support.secrets import assert_hidden
from tests.support.tunnel import Tunnel
from tests.support.waiting import until
from tests.support.wire import Raw, Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.wire import Received

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE/session/token==" * 40
PASSWORD = "the-proxy's+password"
ELSEWHERE = "registry.invalid"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET, TOKEN)
PROXY = "user:the-proxy's%2Bpassword"
SECRETS = [SECRET, TOKEN, PASSWORD, f"user:{PASSWORD}"]


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - every test looks into the log
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    # botocore's own log has requests and replies whole, and the failures of its providers.
    for name in ("botocore", "urllib3"):
        caplog.set_level(logging.CRITICAL, logger=name)
    return caplog


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", ELSEWHERE).configure_cert(context)
    return context, authority


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def failing(url: str, expected: type[BaseException], **options: Any) -> BaseException:
    """Make a call with every secret there is, and return how it failed."""
    options = {"max_attempts": 1, "connect_timeout": 5.0, "read_timeout": 5.0} | options
    options.setdefault("credentials", CREDENTIALS)
    with pytest.raises(expected) as caught:
        async with ECRPublicClient("us-east-1", url, **options) as client:
            await client.describe_repositories()
    return caught.value


def signatures(requests: list[Received]) -> list[str]:
    return [request.headers["Authorization"].rpartition("Signature=")[2] for request in requests]


# What a server may send back


def echo_as_a_head(request: Received) -> bytes:
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "Broken line", "", ""]).encode()


def echo_as_a_status(request: Received) -> bytes:
    return f"HTTP/1.1 {request.headers['X-Amz-Security-Token']} OK\r\n\r\n".encode()


def echo_as_garbage(request: Received) -> bytes:
    return f"{request.headers['Authorization']}\r\n{request.headers['X-Amz-Security-Token']}\r\n".encode()


def echo_in_a_long_header(request: Received) -> bytes:
    return f"HTTP/1.1 200 OK\r\nX-Long: {request.headers['X-Amz-Security-Token'] * 20}\r\n\r\n".encode()


def echo_in_a_control_character(request: Received) -> bytes:
    return f"HTTP/1.1 200 OK\r\nX-A: {request.headers['Authorization']}\0\r\nB\0\r\n\r\n".encode()


def echo_as_a_chunk(request: Received) -> bytes:
    token = request.headers["X-Amz-Security-Token"]
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{token}\r\n{token}\r\n".encode()


def echo_as_a_coding(request: Received) -> bytes:
    token = request.headers["X-Amz-Security-Token"]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(token)}\r\n\r\n"
    return f"{head}{token}".encode()


def echo_in_half_a_head(request: Received) -> bytes:
    return f"HTTP/1.1 200 OK\r\nX-A: {request.headers['Authorization']}\r\nX-B".encode()


def echo_in_half_a_body(request: Received) -> bytes:
    token = request.headers["X-Amz-Security-Token"]
    return f'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{{"a": "{token}'.encode()


def echo_as_no_json(request: Received) -> bytes:
    return answer(data=request.headers["X-Amz-Security-Token"].encode())


def echo_as_a_wrong_member(request: Received) -> bytes:
    return answer({"repositories": request.headers["X-Amz-Security-Token"]})


def echo_as_a_wrong_timestamp(request: Received) -> bytes:
    return answer({"repositories": [{"createdAt": request.headers["X-Amz-Security-Token"]}]})


def echo_in_a_message(request: Received) -> bytes:
    headers = json.dumps(dict(request.headers))
    return answer({"__type": "AccessDeniedException", "message": headers}, status=400)


def echo_in_an_escaped_message(request: Received) -> bytes:
    text = json.dumps({"message": f"{request.headers['X-Amz-Security-Token']} is expired"})
    return answer(data=text.replace("/", "\\/").encode(), status=403)


def echo_in_a_code(request: Received) -> bytes:
    return answer({"__type": request.headers["X-Amz-Security-Token"]}, status=400)


def echo_in_a_page(request: Received) -> bytes:
    page = f"<html>{request.headers['X-Amz-Security-Token']}{request.headers['Authorization']}</html>"
    return answer(data=page.encode(), status=502, headers={"Content-Type": "text/html"})


def echo_in_a_request_id(request: Received) -> bytes:
    return answer(
        {"message": "no"}, status=400, headers={"x-amzn-RequestId": request.headers["Authorization"]}
    )


ECHOES: list[tuple[Callable[[Received], bytes], type[ECRPublicError]]] = [
    (echo_as_a_head, TransportError),
    (echo_as_a_status, TransportError),
    (echo_as_garbage, TransportError),
    (echo_in_a_long_header, TransportError),
    (echo_in_a_control_character, TransportError),
    (echo_as_a_chunk, TransportError),
    (echo_as_a_coding, TransportError),
    (echo_in_half_a_head, BrokenReplyError),
    (echo_in_half_a_body, BrokenReplyError),
    (echo_as_no_json, BrokenReplyError),
    (echo_as_a_wrong_member, BrokenReplyError),
    (echo_as_a_wrong_timestamp, BrokenReplyError),
    (echo_in_a_message, ServiceError),
    (echo_in_an_escaped_message, ServiceError),
    (echo_in_a_code, ServiceError),
    (echo_in_a_page, ServiceError),
    (echo_in_a_request_id, ServiceError),
]


@pytest.mark.parametrize(("echo", "expected"), ECHOES)
@pytest.mark.parametrize("way", ["plain", "tls", "proxy", "tunnel"])
async def test_what_a_peer_sends_back_is_not_shown(
    way: str,
    echo: Callable[[Received], bytes],
    expected: type[ECRPublicError],
    contexts: tuple[ssl.SSLContext, trustme.CA],
    stack: AsyncExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    encrypted = way in {"tls", "tunnel"}
    server = await stack.enter_async_context(Wire(contexts[0] if encrypted else None))
    server.default = lambda request: Raw(echo(request))  # type: ignore[assignment, return-value]
    contexts[1].cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    url = server.url
    if way in {"proxy", "tunnel"}:
        proxy = await stack.enter_async_context(Tunnel(server.port))
        monkeypatch.setenv("HTTPS_PROXY" if encrypted else "HTTP_PROXY", f"http://{PROXY}@{proxy.address}")
        url = f"{'https' if encrypted else 'http'}://{ELSEWHERE}"
    error = await failing(url, expected)
    (signature,) = signatures(server.requests)
    assert_hidden(error, [*SECRETS, signature], log.records)


async def test_every_secret_of_these_tests_is_sent(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the others would find nothing."""
    server = await stack.enter_async_context(Wire())
    proxy = await stack.enter_async_context(Tunnel(server.port))
    monkeypatch.setenv("HTTP_PROXY", f"http://{PROXY}@{proxy.address}")
    async with ECRPublicClient("us-east-1", f"http://{ELSEWHERE}", CREDENTIALS) as client:
        await client.describe_registries()
    head = proxy.heads[0].decode()
    assert TOKEN in head
    assert base64.b64encode(f"user:{PASSWORD}".encode()).decode() in head


# Where there is no connection


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("by_proxy", [False, True])
async def test_a_connection_that_is_refused_shows_nothing(
    scheme: str,
    by_proxy: bool,  # noqa: FBT001 - cases
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        host = "127.0.0.1:{1}".format(*nobody.getsockname())
    if by_proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://{PROXY}@{host}")
        host = ELSEWHERE
    error = await failing(f"{scheme}://{host}", ConnectError)
    assert_hidden(error, SECRETS, log.records)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("by_proxy", [False, True])
async def test_a_name_that_does_not_exist_shows_nothing(
    scheme: str,
    by_proxy: bool,  # noqa: FBT001 - cases
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    if by_proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://{PROXY}@proxy.invalid")
    error = await failing(f"{scheme}://{ELSEWHERE}", ConnectError)
    assert_hidden(error, SECRETS, log.records)


@pytest.mark.parametrize("by_proxy", [False, True])
@pytest.mark.parametrize("kind", ["nobody's certificate", "no TLS"])
async def test_a_handshake_that_fails_shows_nothing(
    kind: str,
    by_proxy: bool,  # noqa: FBT001 - cases
    contexts: tuple[ssl.SSLContext, trustme.CA],
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    server = await stack.enter_async_context(Wire(contexts[0] if kind == "nobody's certificate" else None))
    host = f"127.0.0.1:{server.port}"
    if by_proxy:
        proxy = await stack.enter_async_context(Tunnel(server.port))
        monkeypatch.setenv("HTTPS_PROXY", f"http://{PROXY}@{proxy.address}")
        host = ELSEWHERE
    error = await failing(f"https://{host}", ConnectError)
    assert_hidden(error, SECRETS, log.records)


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses_shows_nothing(
    status: int, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    proxy = await stack.enter_async_context(Tunnel(1, status=status))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{PROXY}@{proxy.address}")
    error = await failing(f"https://{ELSEWHERE}", ConnectError)
    assert base64.b64encode(f"user:{PASSWORD}".encode()) in proxy.heads[0]
    assert_hidden(error, SECRETS, log.records)


async def proxying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that answers what it was sent."""
    head = await reader.readuntil(b"\r\n\r\n")
    identity = head.lower().partition(b"proxy-authorization: ")[2].partition(b"\r\n")[0]
    original = head[head.lower().index(identity) :][: len(identity)]
    writer.write(b"HTTP/1.1 407 %s\r\nX-A: %s\r\nBroken line\r\n\r\n" % (original, original))
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_sends_its_password_back_shows_nothing(
    scheme: str, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.start_server(proxying, "127.0.0.1", 0)
    address = "127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    monkeypatch.setenv(f"{scheme}_proxy", f"http://{PROXY}@{address}")
    error = await failing(f"{scheme}://{ELSEWHERE}", TransportError)
    assert_hidden(error, SECRETS, log.records)
    server.close()


# Where nothing comes, or nobody waits


async def never(_: Received) -> bytes:
    await asyncio.sleep(60)
    raise AssertionError


async def test_a_timeout_shows_nothing(wire: Wire, log: pytest.LogCaptureFixture) -> None:
    wire.answers = [never]
    error = await failing(wire.url, TimeoutError, read_timeout=0.1)
    assert_hidden(error, [*SECRETS, *signatures(wire.requests)], log.records)


async def test_a_cancelled_call_shows_nothing(wire: Wire, log: pytest.LogCaptureFixture) -> None:
    wire.answers = [never]
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
        call = asyncio.ensure_future(client.describe_registries())
        await until(lambda: bool(wire.requests))
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert_hidden(caught.value, [*SECRETS, *signatures(wire.requests)], log.records)


async def test_a_retried_call_shows_nothing(
    wire: Wire, log: pytest.LogCaptureFixture, delays: list[float]
) -> None:
    wire.default = echo_in_a_page
    error = await failing(wire.url, ServiceError, max_attempts=3)
    assert len(delays) == 2
    assert_hidden(error, [*SECRETS, *signatures(wire.requests)], log.records)


# What is configured


@pytest.mark.parametrize(
    "url",
    [
        "http://user:the-password@host",
        "http://user:the-password@host:port",
        "http://user:the-password/tail@host",
        "http://user:the-password@[::1",
        "ftp://user:the-password@host",
        "user:the-password@host",
        "http://the-password@host",
        "http://user:the-password@host/?query",
        "http://host/?token=the-password",
        "http://host/#the-password",
        "https://user:the-password@ho st",
        "http://user:the-password@",
    ],
)
@pytest.mark.parametrize("variable", [None, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR_PUBLIC"])
async def test_an_endpoint_that_is_none_shows_no_password(
    url: str, variable: str | None, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, url)
    with pytest.raises(ConfigurationError) as caught:
        await ECRPublicClient("us-east-1", None if variable else url, CREDENTIALS).open()
    assert_hidden(caught.value, [*SECRETS, "the-password"], log.records)


# Providers of credentials


@pytest.fixture
def chained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(process: str) -> None:
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    return write


@pytest.mark.parametrize(
    "output",
    [
        f'{{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "{SECRET}"',
        f'{{"Version": 2, "AccessKeyId": "AKID", "SecretAccessKey": "{SECRET}"}}',
        f'{{"Version": 1, "SecretAccessKey": "{SECRET}"}}',
        f'{{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "{SECRET}", "Expiration": "never"}}',
        f'["{SECRET}"]',
        f'"{SECRET}"',
        SECRET,
    ],
)
async def test_a_helper_whose_output_is_wrong_shows_nothing(
    output: str,
    chained: Callable[[str], None],
    tmp_path: Path,
    wire: Wire,
    log: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "output").write_text(output)
    chained(f"cat {tmp_path}/output")
    error = await failing(wire.url, CredentialsError, credentials=None)
    assert_hidden(error, [SECRET], log.records)


@pytest.mark.parametrize("token", ["the-container's-token", "the-container's\ntoken"])
@pytest.mark.parametrize("kind", ["status", "no JSON", "missing", "refused"])
async def test_a_container_that_refuses_shows_nothing(
    kind: str, token: str, wire: Wire, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    wire.default = {
        "status": answer({"message": f"{token} is not valid"}, status=403),
        "no JSON": answer(data=f"{SECRET} {token}".encode()),
        "missing": answer({"SecretAccessKey": SECRET}),
        "refused": answer(),
    }[kind]
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"http://127.0.0.1:{port}" if kind == "refused" else wire.url
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    error = await failing(wire.url, CredentialsError, credentials=None)
    assert_hidden(error, [SECRET, "the-container's"], log.records)


async def test_an_identity_that_is_refused_shows_nothing(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    identity = "eyJhbGciOiJSUzI1NiJ9.the-identity-token"
    (tmp_path / "identity").write_text(identity)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", wire.url)
    document = (
        "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>{}</Message></Error></ErrorResponse>"
    )
    wire.default = answer(data=document.format(identity).encode(), status=400)
    error = await failing(wire.url, CredentialsError, credentials=None)
    assert_hidden(error, [identity], log.records)


async def test_the_original_is_the_cause(wire: Wire) -> None:
    wire.answers = [Raw(b"SSH-2.0-OpenSSH_9.6\r\n")]
    error = await failing(wire.url, BrokenReplyError)
    assert isinstance(error.__cause__, Exception)
    assert wire.url in repr(error.__cause__)
