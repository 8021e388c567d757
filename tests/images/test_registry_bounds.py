"""What a registry can make its reader wait for and keep: all of it has an end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import (
    Descriptor,
    ImageError,
    RegistryCredentials,
    RegistryImage,
    registry_blob,
    registry_http,
)
from aioecrpublic.images import registry as registry_module
from tests.images.scripted_registry import BLOB, CONFIG, GOOD, LISTING, Reply, Scripted
from tests.support.oci import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG = 20.0
"""Seconds that nothing here takes unless it hangs."""


@pytest.fixture
async def registry() -> AsyncIterator[Scripted]:
    async with Scripted() as registry:
        registry.replies = {kind: [reply] for kind, reply in GOOD.items()}
        yield registry


async def read(registry: Scripted) -> bytes:
    """Return the blob, read in one go."""
    credentials = RegistryCredentials(username="someone", password="secret")
    async with (
        asyncio.timeout(LONG),
        RegistryImage(f"{registry.host}/team/app:1.0", credentials=credentials, max_attempts=1) as source,
    ):
        blob = await source.open_blob(CONFIG)
        data = await blob.read(0, CONFIG.size)
        assert isinstance(data, bytes)
        return data


async def test_an_error_is_told_without_its_words_if_they_do_not_come(
    registry: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_http, "_ERROR_TIME", 0.1)
    for status in (403, 503):
        head = b"HTTP/1.1 %d Sorry\r\nContent-Length: 99\r\n\r\n" % status
        registry.replies["manifests"] = [Reply(head + b'{"errors":', silent=True)]
        with pytest.raises(ImageError, match=rf"manifest 1\.0: {status} Sorry( \(1 attempts\))?$"):
            await read(registry)


async def test_an_error_is_told_without_its_words_if_they_are_too_many(registry: Scripted) -> None:
    words = b'{"errors":[{"message":"%s"}]}' % (b"x" * 20_000)
    registry.replies["manifests"] = [Reply.of(403, b"Sorry", [], words)]
    with pytest.raises(ImageError, match=r"manifest 1\.0: 403 Sorry$"):
        await read(registry)


async def test_a_blob_is_there_when_its_last_byte_is(
    registry: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_blob, "_END_TIME", 0.1)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    registry.replies["blobs"] = [Reply(head + b"%x\r\n%s\r\n" % (len(BLOB), BLOB), silent=True)]
    assert await read(registry) == BLOB


@pytest.mark.parametrize("encoding", ["gzip", "gzip, chunked", "deflate", "identity, gzip"])
async def test_a_blob_is_not_decoded_on_its_way(registry: Scripted, encoding: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: %s\r\n\r\n" % encoding.encode()
    registry.replies["blobs"] = [Reply(head + b"5\r\nhello\r\n0\r\n\r\n")]
    with pytest.raises(ImageError, match="Transfer-Encoding"):
        await read(registry)


async def test_a_token_has_a_length(registry: Scripted) -> None:
    challenge = Reply.of(401, b"No", [(b"WWW-Authenticate", b'Bearer realm="http://HOST/token"')], b"")
    registry.replies["manifests"] = [challenge, GOOD["manifests"]]
    registry.replies["token"] = [Reply.of(200, b"OK", [], b'{"token":"%s"}' % (b"t" * 70_000))]
    with pytest.raises(ImageError, match="more than 65536 bytes"):
        await read(registry)


async def test_the_pages_of_a_listing_are_parsed_beside_the_loop(
    registry: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one in a thread, a small one where it is."""
    beside: list[bool] = []
    entries = registry_module._entries

    def record(raw: bytes, what: str, room: int) -> list[Descriptor]:
        beside.append(threading.current_thread() is not threading.main_thread())
        return entries(raw, what, room)

    monkeypatch.setattr(registry_module, "_entries", record)
    async with RegistryImage(f"{registry.host}/team/app:1.0", anonymous=True) as source:
        for padding in (0, 70_000):
            registry.replies["referrers"] = [Reply.of(200, b"OK", [], LISTING + b" " * padding)]
            assert len(await source.referrers(digest_of(b""))) == 1
    assert beside == [False, True]
