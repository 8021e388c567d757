"""The registry holds parts and slices, never a layer."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from aioecrpublic import ECRPublicClient
from aioecrpublic.local import DEFAULT_CREDENTIALS
from tests.support.registry_process import RegistryProcess, registry_process
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 1024 * 1024
PART = 16 * MIB
SMALL = 2 * PART
LARGE = (128 if SOAK else 12) * PART
# What a thread more may keep of its part; a layer that is held is more.
TOLERANCE = 4 * PART
assert TOLERANCE < (LARGE - SMALL) // 2
PIECE = b"b" * MIB
REPOSITORY = "team/app"


@pytest.mark.timeout(600)
async def test_a_large_layer_takes_the_memory_of_a_small_one() -> None:
    with registry_process() as server:
        async with (
            ECRPublicClient(
                endpoint_url=server.url, credentials=DEFAULT_CREDENTIALS, rate_limits=False
            ) as client,
            aiohttp.ClientSession(server.url) as session,
        ):
            await client.create_repository(repository_name=REPOSITORY)
            found = (await client.get_authorization_token()).authorization_data
            assert found is not None
            session.headers["Authorization"] = f"Bearer {found.authorization_token}"
            small, large = [await peak(server, client, session, size) for size in (SMALL, LARGE)]
    assert large <= small + TOLERANCE


async def peak(
    server: RegistryProcess, client: ECRPublicClient, session: aiohttp.ClientSession, size: int
) -> int:
    """The most that the registry holds while a layer comes by the API, another by v2, and both go out."""
    await asyncio.to_thread(server.vitals)
    digests = [await by_the_api(client, size), await by_v2(session, size)]
    for digest in digests:
        async with session.get(f"/v2/local/{REPOSITORY}/blobs/{digest}") as response:
            pulled = hashlib.sha256()
            async for piece in response.content.iter_any():
                pulled.update(piece)
        assert f"sha256:{pulled.hexdigest()}" == digest
    return (await asyncio.to_thread(server.vitals)).peak


async def by_the_api(client: ECRPublicClient, size: int) -> str:
    digest, part = hashlib.sha256(), b"a" * PART
    upload = (await client.initiate_layer_upload(repository_name=REPOSITORY)).upload_id
    assert upload is not None
    for first in range(0, size, PART):
        digest.update(part)
        await client.upload_layer_part(
            repository_name=REPOSITORY,
            upload_id=upload,
            part_first_byte=first,
            part_last_byte=first + PART - 1,
            layer_part_blob=part,
        )
    name = f"sha256:{digest.hexdigest()}"
    await client.complete_layer_upload(repository_name=REPOSITORY, upload_id=upload, layer_digests=[name])
    return name


async def by_v2(session: aiohttp.ClientSession, size: int) -> str:
    digest = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            digest.update(PIECE)
            yield PIECE
            await asyncio.sleep(0)

    async with session.post(f"/v2/local/{REPOSITORY}/blobs/uploads/") as response:
        location = response.headers["Location"]
    async with session.patch(location, data=pieces()) as response:
        assert response.status == 202
    name = f"sha256:{digest.hexdigest()}"
    async with session.put(f"{location}?digest={name}") as response:
        assert response.status == 201
    return name
