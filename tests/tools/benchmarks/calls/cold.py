"""Cold starts: a fresh interpreter that imports, makes a client, calls once, and ends."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Final

from tests.tools.benchmarks.calls.callers import OURS
from tests.tools.benchmarks.process import plain_environment

BARE: Final = "aiohttp, cattrs"
STARTS: Final = {
    BARE: "import aiohttp, cattrs",
    OURS: """
import asyncio, sys
from aioecrpublic import Credentials, ECRPublicClient
async def main():
    async with ECRPublicClient("us-east-1", sys.argv[1], Credentials("a", "b")) as client:
        await client.describe_registries()
asyncio.run(main())
""",
    "capo": """
import asyncio, sys
from capo_ecr_public import AsyncECRPUBLICClient, Credentials
async def main():
    credentials = Credentials(access_key="a", secret_key="b")
    async with AsyncECRPUBLICClient(
        region="us-east-1", endpoint=sys.argv[1], credentials=credentials
    ) as client:
        await client.describe_registries()
asyncio.run(main())
""",
    "aiobotocore": """
import asyncio, sys
from aiobotocore.session import AioSession
async def main():
    made = AioSession().create_client("ecr-public", "us-east-1", endpoint_url=sys.argv[1],
        aws_access_key_id="a", aws_secret_access_key="b")
    async with made as client:
        await client.describe_registries()
asyncio.run(main())
""",
    "boto3": """
import sys, boto3
client = boto3.client("ecr-public", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="a",
    aws_secret_access_key="b")
client.describe_registries()
""",
}


def start(name: str, url: str) -> dict[str, float]:
    """Milliseconds and milliseconds of CPU, from the interpreter's start to its end."""
    before, started = _children_cpu(), time.perf_counter()
    subprocess.run([sys.executable, "-c", STARTS[name], url], check=True, env=plain_environment())
    wall = time.perf_counter() - started
    return {"ms": wall * 1e3, "cpu_ms": (_children_cpu() - before) * 1e3}


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
