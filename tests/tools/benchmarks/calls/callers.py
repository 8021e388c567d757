"""Those who call: each opens a client, then gives a coroutine function that makes one call.

It takes how many results the reply is to list, as in ``Case.results``.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.tools.benchmarks.job import ACCESS_KEY_ID as KEY
from tests.tools.benchmarks.job import SECRET_ACCESS_KEY as SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AsyncExitStack

    Caller: TypeAlias = Callable[[int | None], Awaitable[object]]

FLOOR: Final = "aiohttp"
OURS: Final = "ours"


async def aiohttp_caller(url: str, stack: AsyncExitStack) -> Caller:
    """A bare POST of the bytes that our client would send."""
    import aiohttp

    from aioecrpublic import Credentials
    from aioecrpublic._runtime.signing import CanonicalHeaders, Signer, amz_date
    from aioecrpublic._runtime.useragent import user_agent

    session = await stack.enter_async_context(aiohttp.ClientSession())
    host = url.removeprefix("http://")

    def signed(operation: str, body: bytes) -> dict[str, str]:
        headers = {
            "Host": host,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"SpencerFrontendService.{operation}",
        }
        added = Signer("us-east-1", "ecr-public").sign(
            CanonicalHeaders.of(headers),
            path="/",
            payload_hash=hashlib.sha256(body).hexdigest(),
            credentials=Credentials(KEY, SECRET),
            stamp=amz_date(time.time()),
        )
        return {
            **headers,
            "User-Agent": user_agent("ECR PUBLIC", "2020-10-30", "standard", None, None),
            "amz-sdk-invocation-id": "3a3c1a48-6b5e-4c0f-9c53-2c9e2b1b6a10",
            "amz-sdk-request": "attempt=1; max=3",
            **added,
        }

    @functools.cache
    def request(results: int | None) -> tuple[bytes, dict[str, str]]:
        body = b"{}" if results is None else f'{{"maxResults":{results}}}'.encode()
        return body, signed("DescribeRegistries" if results is None else "DescribeRepositories", body)

    async def call(results: int | None) -> object:
        body, headers = request(results)
        async with session.post(f"{url}/", data=body, headers=headers) as response:
            return await response.read()

    return call


async def our_caller(url: str, stack: AsyncExitStack) -> Caller:
    """This package."""
    from aioecrpublic import Credentials, ECRPublicClient

    made = ECRPublicClient("us-east-1", url, Credentials(KEY, SECRET))
    client = await stack.enter_async_context(made)

    async def call(results: int | None) -> object:
        if results is None:
            return await client.describe_registries()
        return await client.describe_repositories(max_results=results)

    return call


async def capo_caller(url: str, stack: AsyncExitStack) -> Caller:
    """capo-ecr-public."""
    from capo_ecr_public import AsyncECRPUBLICClient, Credentials

    made = AsyncECRPUBLICClient(
        region="us-east-1", endpoint=url, credentials=Credentials(access_key=KEY, secret_key=SECRET)
    )
    client = await stack.enter_async_context(made)

    async def call(results: int | None) -> object:
        if results is None:
            return await client.describe_registries()
        return await client.describe_repositories(max_results=results)

    return call


async def aiobotocore_caller(url: str, stack: AsyncExitStack) -> Caller:
    """aiobotocore."""
    from aiobotocore.session import AioSession

    made = AioSession().create_client(
        "ecr-public", "us-east-1", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client = await stack.enter_async_context(made)

    async def call(results: int | None) -> object:
        if results is None:
            return await client.describe_registries()
        return await client.describe_repositories(maxResults=results)

    return call


async def boto3_caller(  # noqa: RUF029 - one of several with the same signature
    url: str, stack: AsyncExitStack
) -> Caller:
    """boto3 in threads, as who has an event loop has to use it."""
    import boto3

    client = boto3.client(
        "ecr-public",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=importlib.import_module("botocore.config").Config(max_pool_connections=50),
    )
    executor = stack.enter_context(ThreadPoolExecutor(50))

    def blocking(results: int | None) -> object:
        return (
            client.describe_registries()
            if results is None
            else client.describe_repositories(maxResults=results)
        )

    async def call(results: int | None) -> object:
        return await asyncio.get_running_loop().run_in_executor(executor, blocking, results)

    return call


CALLERS: Final[Mapping[str, Callable[[str, AsyncExitStack], Awaitable[Caller]]]] = {
    FLOOR: aiohttp_caller,
    OURS: our_caller,
    "capo": capo_caller,
    "aiobotocore": aiobotocore_caller,
    "boto3": boto3_caller,
}
