"""One sample from outside: start the child, give the word, watch it, and count what arrived."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs

from tests.tools.benchmarks.child import GO, Taken
from tests.tools.benchmarks.process import Watch, plain_environment
from tests.tools.benchmarks.sink import PART_SIZE, ROOT

if TYPE_CHECKING:
    from tests.tools.benchmarks.cases import Case
    from tests.tools.benchmarks.contestants import Contestant
    from tests.tools.benchmarks.job import Job
    from tests.tools.benchmarks.sink import Sink, Tally

_LONGEST = 600.0
_IDLE = "idle\n"


@attrs.frozen(kw_only=True)
class Sample:
    """What one push took.

    Attributes:
        wall: Seconds.
        rate: Millions of layer bytes a second.
        cpu: Seconds of CPU of the pushing process.
        sink_cpu: Seconds of CPU of the sink, which runs beside it.
        peak_mib: MiB of resident memory above idle at the most, pages of files included.
        anonymous_mib: The same without pages of files, as seen every few milliseconds.
        stall_ms: Milliseconds that the event loop could do nothing else, at the most.
        threads: Threads at the most.
    """

    wall: float
    rate: float
    cpu: float
    sink_cpu: float
    peak_mib: float
    anonymous_mib: float
    stall_ms: float | None
    threads: int


class SampleError(Exception):
    """A push that failed, or that did not send what it should."""


def take(contestant: Contestant, case: Case, job: Job, sink: Sink) -> Sample:
    """Push once, in a process of its own.

    Raises:
        SampleError: It failed, or something did not arrive.
    """
    sink.tally()
    command = [
        sys.executable,
        "-m",
        "tests.tools.benchmarks.child",
        contestant.name,
        json.dumps(attrs.asdict(job)),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(job),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        ready = child.stdout.readline() == _IDLE
        with Watch(child.pid) as watch:
            out, err = child.communicate(f"{GO}\n" if ready else "", timeout=_LONGEST)
    if child.returncode or not ready:
        raise SampleError(f"{contestant.name}, {case.name}: {err.strip() or 'it ended too early'}")
    taken, tally = Taken(**json.loads(out)), sink.tally()
    _check(contestant, case, tally)
    return Sample(
        wall=taken.wall,
        rate=case.size / taken.wall / 1e6,
        cpu=taken.cpu,
        sink_cpu=tally.cpu,
        peak_mib=taken.peak / 2**20,
        anonymous_mib=max(0, watch.anonymous - taken.idle_anonymous) / 2**20,
        stall_ms=None if taken.stall is None else taken.stall * 1e3,
        threads=watch.threads,
    )


def _check(contestant: Contestant, case: Case, tally: Tally) -> None:
    """Nobody wins by leaving something out."""
    least_parts = case.images * case.layers * -(-case.layer_size // PART_SIZE)
    complete = (
        tally.part_bytes > case.size * 4 / 3
        and tally.parts >= least_parts + case.images
        and tally.completed == case.images * (case.layers + 1)
        and tally.images == case.images
    )
    if not complete:
        raise SampleError(f"{contestant.name}, {case.name}: what arrived is not the image: {tally}")


def _environment(job: Job) -> dict[str, str]:
    if job.authority is None:
        return plain_environment()
    return plain_environment() | {"AWS_CA_BUNDLE": job.authority, "SSL_CERT_FILE": job.authority}
