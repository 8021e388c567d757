"""One sample: a fresh process that opens a client, waits for the word, pushes, and says what it took."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs

from tests.tools.benchmarks.contestants import find
from tests.tools.benchmarks.job import Job
from tests.tools.benchmarks.process import cpu_seconds, forget_peak, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tools.benchmarks.contestants import Contestant

_BEAT = 0.002
GO = "go"


@attrs.frozen(kw_only=True)
class Taken:
    """What a push took, as the pushing process knows it.

    Attributes:
        wall: Seconds.
        cpu: Seconds of CPU, user and system, of all threads.
        peak: Bytes of resident memory above idle, at the most.
        idle_anonymous: Bytes of anonymous memory when idle.
        stall: Seconds that the event loop could do nothing else, at the most; ``None`` where there is none.
    """

    wall: float
    cpu: float
    peak: int
    idle_anonymous: int
    stall: float | None


def main() -> None:
    """Read the contestant's name and the job from the arguments, and do it."""
    contestant, job = find(sys.argv[1]), Job(**json.loads(sys.argv[2]))
    opener = contestant.opener()
    synchronous = contestant.event_loop is None
    taken = _run_sync(opener, job) if synchronous else _run_async(contestant, opener, job)
    _say(json.dumps(attrs.asdict(taken)))


def _run_sync(opener: Callable[..., Any], job: Job) -> Taken:
    with opener(job) as push:
        measuring = _Measuring()
        push()
        return measuring.taken(None)


def _run_async(contestant: Contestant, opener: Callable[..., Any], job: Job) -> Taken:
    async def run() -> Taken:
        async with opener(job) as push:
            heart = _Heart()
            beating = asyncio.create_task(heart.beat())
            # The loop's own first-time work is not the push's.
            await asyncio.sleep(0.05)
            measuring = _Measuring()
            heart.longest = 0.0
            heart.last = time.perf_counter()
            await push()
            taken = measuring.taken(heart.longest_by_now())
            beating.cancel()
            return taken

    if contestant.event_loop == "uvloop":
        import uvloop

        return uvloop.run(run())
    return asyncio.run(run())


class _Measuring:
    """From being idle to being done."""

    def __init__(self) -> None:
        gc.collect()
        forget_peak()
        self._idle = look()
        _say("idle")
        if sys.stdin.readline().strip() != GO:
            raise SystemExit("nobody wants it")
        self._cpu = cpu_seconds()
        self._started = time.perf_counter()

    def taken(self, stall: float | None) -> Taken:
        wall = time.perf_counter() - self._started
        cpu = cpu_seconds() - self._cpu
        return Taken(
            wall=wall,
            cpu=cpu,
            peak=look().peak - self._idle.resident,
            idle_anonymous=self._idle.anonymous,
            stall=stall,
        )


class _Heart:
    """Beats on the event loop, and notes the longest pause."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.last = time.perf_counter()

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            self._note()

    def longest_by_now(self) -> float:
        """Also if it has not come to beating again since."""
        self._note()
        return max(self.longest, 0.0)

    def _note(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self.last - _BEAT)
        self.last = now


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
