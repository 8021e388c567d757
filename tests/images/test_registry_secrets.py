"""Each way in which reading from a registry fails: no secret is in the error, its causes or the log."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trustme

from aioecrpublic.errors import ECRPublicError
from aioecrpublic.images import RegistryCredentials, RegistryImage, registry_http
from tests.images.scripted_registry import CONFIG, GOOD, Reply, Scripted
from tests.support.secrets import assert_hidden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORD = "hunter2-the-password"
IDENTITY = "identity-token-4711"
TOKEN = "bearer-token-0815"
SIGNATURE = "signature-of-a-store"
REALM = "secret-of-the-realm"
SECRETS = [PASSWORD, f"someone:{PASSWORD}", IDENTITY, TOKEN, SIGNATURE, REALM]
CREDENTIALS = RegistryCredentials(username="someone", password=PASSWORD)
IDENTIFIED = RegistryCredentials(identity_token=IDENTITY)

BASIC = Reply.of(401, b"No", [(b"WWW-Authenticate", b'Basic realm="x"')], b"")
BEARER = Reply.of(
    401, b"No", [(b"WWW-Authenticate", f'Bearer realm="http://HOST/token?s={REALM}"'.encode())], b""
)
ISSUED = Reply.of(200, b"OK", [], f'{{"token":"{TOKEN}"}}'.encode())
STORE = Reply.of(307, b"Go", [(b"Location", f"http://HOST/other?X-Sig={SIGNATURE}".encode())], b"")
MANIFEST = GOOD["manifests"]
GARBAGE = Reply(b"\x00ECHO\r\n\r\n")
CUT = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2560\r\n\r\nECHO")
SILENT = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2560\r\n\r\nECHO", silent=True)
MUTE = Reply(b"", silent=True)
NOTHING = Reply(b"")
ECHO = {
    f"echo {status}": Reply.of(status, b"ECHO", [], b'{"errors":[{"message":"you said ECHO"}]}')
    for status in (400, 401, 403, 503)
}
ODD_HEADER = Reply(b"HTTP/1.1 200 OK\r\nX-ECHO\x00: ECHO\r\n\r\n")

FAILURES = {
    "nothing": NOTHING,
    "silence": MUTE,
    "garbage": GARBAGE,
    "cut": CUT,
    "stalled": SILENT,
    "odd header": ODD_HEADER,
    **ECHO,
}


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - waiting is tested by itself
def _no_waiting(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(registry_http, "_FIRST_DELAY", 0.001)
    caplog.set_level(logging.DEBUG)


@pytest.fixture
async def registry() -> AsyncIterator[Scripted]:
    async with Scripted() as registry:
        registry.replies = {kind: [reply] for kind, reply in GOOD.items()}
        yield registry


async def read(
    host: str, credentials: RegistryCredentials, *, insecure: bool | None = None
) -> BaseException | None:
    """Read everything, and return what it ends in."""
    source = RegistryImage(
        f"{host}/team/app:1.0",
        credentials=credentials,
        max_attempts=2,
        read_timeout=0.2,
        connect_timeout=5,
        insecure=insecure,
    )
    try:
        async with source:
            await source.check_blob(CONFIG)
            blob = await source.open_blob(CONFIG)
            await blob.read(0, CONFIG.size)
    except ECRPublicError as error:
        return error
    return None


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_registry_fails_who_knows_the_password(
    registry: Scripted, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    registry.replies["manifests"] = [BASIC, FAILURES[failure]]
    error = await read(registry.host, CREDENTIALS)
    assert error is not None
    assert registry.asked.count("manifests") > 1
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_registry_fails_who_knows_a_token(
    registry: Scripted, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    registry.replies |= {"manifests": [BEARER, MANIFEST], "token": [ISSUED], "blobs": [FAILURES[failure]]}
    error = await read(registry.host, CREDENTIALS)
    assert error is not None
    assert registry.asked[-1] == "blobs"
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize("credentials", [CREDENTIALS, IDENTIFIED], ids=["password", "identity token"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_the_token_service_fails(
    registry: Scripted, caplog: pytest.LogCaptureFixture, failure: str, credentials: RegistryCredentials
) -> None:
    registry.replies |= {"manifests": [BEARER], "token": [FAILURES[failure]]}
    error = await read(registry.host, credentials)
    assert error is not None
    assert registry.asked[-1] == "token"
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_blob_store_fails(
    registry: Scripted, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    registry.replies |= {"manifests": [BASIC, MANIFEST], "blobs": [STORE], "other": [FAILURES[failure]]}
    error = await read(registry.host, CREDENTIALS)
    assert error is not None
    assert registry.asked[-1] == "other"
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize(
    "location",
    [
        f"http://someone:{PASSWORD}@HOST/x",
        f"http://[{SIGNATURE}/",
        f"{SIGNATURE}:x",
        f"https://127.0.0.1:1/x?{SIGNATURE}",
        f"http://127.0.0.1:1/x?{SIGNATURE}",
        f"https://HOST/x?{SIGNATURE}",
        f"/blobs/?{SIGNATURE}",
        f"http://no-such-host.invalid/x?{SIGNATURE}",
    ],
)
async def test_a_redirect_leads_nowhere(
    registry: Scripted, caplog: pytest.LogCaptureFixture, location: str
) -> None:
    target = Reply.of(307, b"Go", [(b"Location", location.encode())], b"")
    registry.replies |= {"manifests": [BASIC, MANIFEST], "blobs": [target]}
    error = await read(registry.host, CREDENTIALS)
    assert error is not None
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize(
    "realm", [f"http://someone:{PASSWORD}@HOST/token", f"ftp://{REALM}/", f"http://[{REALM}"]
)
async def test_a_realm_leads_nowhere(
    registry: Scripted, caplog: pytest.LogCaptureFixture, realm: str
) -> None:
    challenge = Reply.of(401, b"No", [(b"WWW-Authenticate", f'Bearer realm="{realm}"'.encode())], b"")
    registry.replies["manifests"] = [challenge]
    error = await read(registry.host, CREDENTIALS)
    assert error is not None
    assert_hidden(error, SECRETS, caplog.records)


async def test_whoever_asks_again_and_again(registry: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    for challenge in (BASIC, BEARER):
        registry.replies |= {"manifests": [challenge], "token": [ISSUED]}
        error = await read(registry.host, CREDENTIALS)
        assert "401 No" in str(error)
        assert_hidden(error, SECRETS, caplog.records)


async def test_nobody_is_there(caplog: pytest.LogCaptureFixture) -> None:
    async with Scripted() as gone:
        host = gone.host
    error = await read(host, CREDENTIALS)
    assert "Cannot connect to host" in str(error)
    assert_hidden(error, SECRETS, caplog.records)


async def test_a_certificate_is_not_trusted(caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Scripted(context) as registry:
        registry.replies = {"manifests": [BASIC]}
        error = await read(registry.host, CREDENTIALS, insecure=False)
    assert "certificate" in str(error)
    assert_hidden(error, SECRETS, caplog.records)


@pytest.mark.parametrize("kind", ["manifests", "token", "blobs", "other"])
async def test_it_is_cancelled(registry: Scripted, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    registry.replies |= {"manifests": [BEARER, MANIFEST], "token": [ISSUED], "blobs": [STORE], kind: [MUTE]}
    source = RegistryImage(f"{registry.host}/team/app:1.0", credentials=CREDENTIALS)

    async def work() -> None:
        async with source:
            await source.open_blob(CONFIG)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    task.cancel()
    error: BaseException | None = None
    with suppress(ECRPublicError):
        try:
            await task
        except asyncio.CancelledError as cancelled:
            error = cancelled
    assert error is not None
    assert_hidden(error, SECRETS, caplog.records)
