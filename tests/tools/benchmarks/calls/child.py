"""One sample of a contestant: a fresh process that measures its clients and then every kind of call."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from tests.tools.benchmarks.calls.callers import CALLERS
from tests.tools.benchmarks.calls.cases import CASES
from tests.tools.benchmarks.process import cpu_seconds, look

if TYPE_CHECKING:
    from tests.tools.benchmarks.calls.callers import Caller
    from tests.tools.benchmarks.calls.cases import Case

CLIENTS: Final = "clients"
_MANY = 100
_SECONDS = 0.8
_WARM_UP = 20


async def _sample(name: str, url: str) -> dict[str, dict[str, float]]:
    figures = {CLIENTS: await _clients(name, url)}
    async with AsyncExitStack() as stack:
        call = await CALLERS[name](url, stack)
        for case in CASES:
            figures[case.name] = await _calls(call, case)
    return figures


async def _clients(name: str, url: str) -> dict[str, float]:
    """Memory of the process with one client that was used, and with many; milliseconds to make one more."""
    async with AsyncExitStack() as stack:
        await (await CALLERS[name](url, stack))(None)
        one, started = _memory(), time.perf_counter()
        callers = [await CALLERS[name](url, stack) for _ in range(_MANY - 1)]
        made = time.perf_counter() - started
        for call in callers:
            await call(None)
        return {"1_mib": one, f"{_MANY}_mib": _memory(), "make_ms": made / len(callers) * 1e3}


def _memory() -> float:
    gc.collect()
    return look().anonymous / 2**20


async def _calls(call: Caller, case: Case) -> dict[str, float]:
    """Calls a second, and microseconds of CPU a call."""
    await asyncio.gather(*(call(case.results) for _ in range(max(_WARM_UP, case.width))))
    started, cpu = time.perf_counter(), cpu_seconds()
    until = started + _SECONDS

    async def keep_calling() -> int:
        made = 0
        while time.perf_counter() < until:
            await call(case.results)
            made += 1
        return made

    count = sum(await asyncio.gather(*(keep_calling() for _ in range(case.width))))
    wall = time.perf_counter() - started
    return {"calls_per_s": count / wall, "cpu_us": (cpu_seconds() - cpu) / count * 1e6}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_sample(*sys.argv[1:]))))
