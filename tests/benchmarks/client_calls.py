"""What a call costs: ours beside a bare aiohttp POST, boto3, aiobotocore and capo-ecr-public.

``python -m tests.benchmarks.client_calls [--json FILE] [--rounds N]``. Round after round, everybody runs
every case in a fresh process, against one sink of canned replies in a process of its own; the best of the
rounds counts, for what disturbs a process only ever makes it slower. The bare POST sends the very bytes that
our client sends, signature included, and reads the reply without looking at it.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from tests.benchmarks.process import look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OURS: Final = "aioecrpublic"
NAMES: Final = ("aiohttp", OURS, "capo", "aiobotocore", "boto3")
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CLIENTS: Final = 100
_SECONDS = 0.8
_WARM_UP = 20


@attrs.frozen
class Case:
    """One kind of call: how many repositories the reply lists, and how many calls are under way at once."""

    name: str
    results: int | None
    width: int


CASES: Final = (
    Case("small", None, 1),
    Case("small x50", None, 50),
    Case("100 results", 100, 1),
    Case("100 results x50", 100, 50),
    Case("1000 results", 1000, 1),
    Case("1000 results x50", 1000, 50),
)


# The sink


@functools.cache
def reply(results: int | None) -> bytes:
    """A whole HTTP reply, of the size that the service's have."""
    body: dict[str, Any] = {"registries": []}
    if results is not None:
        body = {"repositories": [repository(number) for number in range(results)]}
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
        "x-amzn-RequestId: 3a3c1a48-6b5e-4c0f-9c53-2c9e2b1b6a10\r\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def repository(number: int) -> dict[str, object]:
    """One repository as the service describes it."""
    name = f"team/application-{number}"
    return {
        "repositoryArn": f"arn:aws:ecr-public::123456789012:repository/{name}",
        "registryId": "123456789012",
        "repositoryName": name,
        "repositoryUri": f"public.ecr.aws/a1b2c3d4/{name}",
        "createdAt": dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() + number / 8,
    }


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            lowered = head.lower()
            length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            wanted = json.loads(rest[:length] or b"{}").get("maxResults")
            self._transport.write(reply(wanted))


async def serve() -> None:
    """Answer until the process is ended; the port is the only line on standard output."""
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


# The contestants: each gives a coroutine function that makes one call


async def aiohttp_caller(url: str, stack: AsyncExitStack) -> Callable[[int | None], Awaitable[object]]:
    """A bare POST of the bytes that our client would send."""
    import aiohttp

    from aioecrpublic import Credentials
    from aioecrpublic._runtime.signing import Signer, amz_date
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
            headers,
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


async def our_caller(url: str, stack: AsyncExitStack) -> Callable[[int | None], Awaitable[object]]:
    """This package."""
    from aioecrpublic import Credentials, ECRPublicClient

    made = ECRPublicClient("us-east-1", url, Credentials(KEY, SECRET))
    client = await stack.enter_async_context(made)

    async def call(results: int | None) -> object:
        if results is None:
            return await client.describe_registries()
        return await client.describe_repositories(max_results=results)

    return call


async def capo_caller(url: str, stack: AsyncExitStack) -> Callable[[int | None], Awaitable[object]]:
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


async def aiobotocore_caller(url: str, stack: AsyncExitStack) -> Callable[[int | None], Awaitable[object]]:
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
) -> Callable[[int | None], Awaitable[object]]:
    """boto3 in threads, as who has an event loop has to use it."""
    import boto3

    from tests.support import oracle

    client = boto3.client(
        "ecr-public",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=oracle.config.Config(max_pool_connections=50),
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


CALLERS: Final = {
    "aiohttp": aiohttp_caller,
    OURS: our_caller,
    "capo": capo_caller,
    "aiobotocore": aiobotocore_caller,
    "boto3": boto3_caller,
}


# One process of a contestant


async def run(name: str, url: str) -> dict[str, dict[str, float]]:
    """Every case: calls a second, and microseconds of CPU a call; then what clients cost."""
    results: dict[str, dict[str, float]] = {}
    async with AsyncExitStack() as stack:
        call = await CALLERS[name](url, stack)
        for case in CASES:
            await asyncio.gather(*(call(case.results) for _ in range(max(_WARM_UP, case.width))))
            count, started, cpu = 0, time.perf_counter(), time.process_time()

            async def keep_calling(results: int | None, until: float) -> int:
                made = 0
                while time.perf_counter() < until:
                    await call(results)
                    made += 1
                return made

            until = started + _SECONDS
            count = sum(await asyncio.gather(*(keep_calling(case.results, until) for _ in range(case.width))))
            results[case.name] = {
                "calls_per_second": count / (time.perf_counter() - started),
                "cpu_us": (time.process_time() - cpu) / count * 1e6,
            }
    results["clients"] = await clients(name, url)
    return results


async def clients(name: str, url: str) -> dict[str, float]:
    """How long one more client takes to be made and opened, and the memory of a hundred, used once each."""
    async with AsyncExitStack() as stack:
        before, started = look().anonymous, time.perf_counter()
        callers = [await CALLERS[name](url, stack) for _ in range(CLIENTS)]
        made = time.perf_counter() - started
        for call in callers:
            await call(None)
        return {"make_ms": made / CLIENTS * 1e3, "memory_kib": (look().anonymous - before) / CLIENTS / 1024}


COLD: Final = {
    "aiohttp, cattrs": "import aiohttp, cattrs",
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


def cold(code: str, url: str) -> dict[str, float]:
    """A fresh interpreter from its start to its end; its memory is left out of it."""
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", code, url], check=True, env=environment())
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"ms": (time.perf_counter() - started) * 1e3, "cpu_ms": cpu * 1e3}


# All of it


def environment() -> dict[str, str]:
    """The environment without what would configure a client, and none of the shared files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")} | {
        name: f"{value}.absent" for name, value in nowhere.items()
    }


def measure(rounds: int) -> dict[str, Any]:
    """The best of everything in ``rounds`` interleaved rounds."""
    module = [sys.executable, "-m", "tests.benchmarks.client_calls"]
    best: dict[str, Any] = {"cold": {}, "calls": {}}
    with subprocess.Popen([*module, "--serve"], stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout is not None
            url = f"http://127.0.0.1:{int(sink.stdout.readline())}"
            for _ in range(rounds):
                for name, code in COLD.items():
                    _keep(best["cold"].setdefault(name, {}), cold(code, url))
                for name in NAMES:
                    command = [*module, "--child", name, "--url", url]
                    done = subprocess.run(
                        command, check=True, stdout=subprocess.PIPE, text=True, env=environment()
                    )
                    for case, figures in json.loads(done.stdout).items():
                        _keep(best["calls"].setdefault(name, {}).setdefault(case, {}), figures)
        finally:
            sink.terminate()
    return best


def _keep(best: dict[str, float], figures: dict[str, float]) -> None:
    for name, value in figures.items():
        better = max if name == "calls_per_second" else min
        best[name] = better(best.get(name, value), value)


def table(best: dict[str, Any]) -> str:
    """The figures as text, and how they compare with what is aimed at."""
    lines = [f"{'cold: import, client, call':28}" + "".join(f"{name:>17}" for name in best["cold"])]
    for figure in ("ms", "cpu_ms"):
        row = "".join(f"{values[figure]:17.0f}" for values in best["cold"].values())
        lines.append(f"{figure:28}{row}")
    lines.append("\n" + f"{'calls':28}" + "".join(f"{name:>17}" for name in NAMES))
    for case in (*CASES, None):
        key = case.name if case else "clients"
        for figure in best["calls"][OURS][key]:
            row = "".join(f"{best['calls'][name][key][figure]:17.1f}" for name in NAMES)
            lines.append(f"{key + ' ' + figure:28}{row}")
    lines.append("")
    lines += [f"{what}: {value:.2f} (aimed at {aim})" for what, value, aim in targets(best)]
    return "\n".join(lines)


def targets(best: dict[str, Any]) -> list[tuple[str, float, str]]:
    """What is aimed at: name, figure, aim."""
    small = {name: best["calls"][name]["small"]["cpu_us"] for name in NAMES}
    hundred = {name: best["calls"][name]["100 results"]["cpu_us"] for name in NAMES}
    start = {name: values["ms"] for name, values in best["cold"].items()}
    ours = OURS
    return [
        ("small call, CPU of aiobotocore's / ours", small["aiobotocore"] / small[ours], ">= 3"),
        ("small call, CPU of capo's / ours", small["capo"] / small[ours], ">= 2"),
        ("small call, CPU of ours / a bare POST", small[ours] / small["aiohttp"], "<= 1.25"),
        ("100 results, CPU of aiobotocore's / ours", hundred["aiobotocore"] / hundred[ours], ">= 5"),
        ("100 results, CPU of capo's / ours", hundred["capo"] / hundred[ours], ">= 1.5"),
        ("client made and opened, ms", best["calls"][ours]["clients"]["make_ms"], "< 1"),
        ("cold, ours / importing aiohttp and cattrs", start[ours] / start["aiohttp, cattrs"], "<= 1.3"),
        (
            "cold, the fastest peer / ours",
            min(start[n] for n in ("capo", "aiobotocore", "boto3")) / start[ours],
            "> 1",
        ),
    ]


def main() -> None:
    """Parse the command line; run, or be one of the processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.client_calls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
    elif arguments.child:
        sys.stdout.write(json.dumps(asyncio.run(run(arguments.child, arguments.url))))
    else:
        best = measure(arguments.rounds)
        sys.stdout.write(table(best) + "\n")
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(best, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
