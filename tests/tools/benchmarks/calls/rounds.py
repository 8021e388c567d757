"""Round after round, everybody starts cold and runs every case, each time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.tools.benchmarks.calls.callers import CALLERS
from tests.tools.benchmarks.calls.cold import STARTS, start
from tests.tools.benchmarks.calls.sink import sink
from tests.tools.benchmarks.process import plain_environment
from tests.tools.benchmarks.sink import ROOT
from tests.tools.benchmarks.turns import in_turn, say

if TYPE_CHECKING:
    from tests.tools.benchmarks.report import Results

COLD: Final = "cold"


def measure(rounds: int) -> Results:
    """The figures of every case, by contestant."""
    results: dict[str, dict[str, list[dict[str, float]]]] = {COLD: {name: [] for name in STARTS}}
    with sink() as url:
        # Once for nobody: it leaves compiled modules behind.
        for name in STARTS:
            start(name, url)
        for number in range(rounds):
            for name in in_turn(tuple(STARTS), number):
                say(f"round {number + 1}/{rounds}  cold start  {name}", progress=True)
                results[COLD][name].append(start(name, url))
            for name in in_turn(tuple(CALLERS), number):
                say(f"round {number + 1}/{rounds}  calls  {name}", progress=True)
                for case, figures in _sample(name, url).items():
                    by_name = results.setdefault(case, {known: [] for known in CALLERS})
                    by_name[name].append(figures)
    say("", progress=True)
    return results


def _sample(name: str, url: str) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "tests.tools.benchmarks.calls.child", name, url]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=plain_environment()
    )
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return figures
