"""Round after round, everybody takes and gives every image, each time in fresh processes with fresh files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs

from tests.tools.benchmarks.cases import KIB
from tests.tools.benchmarks.cases import Case as Images
from tests.tools.benchmarks.process import plain_environment
from tests.tools.benchmarks.registry.cases import Case, write_images
from tests.tools.benchmarks.registry.contestants import contestants
from tests.tools.benchmarks.registry.job import Job
from tests.tools.benchmarks.registry.servers import server_of
from tests.tools.benchmarks.sink import ROOT
from tests.tools.benchmarks.turns import in_turn, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.tools.benchmarks.registry.contestants import Contestant
    from tests.tools.benchmarks.report import Results

_WARM = Case(images=Images(layers=1, layer_size=KIB))


def measure(rounds: int, cases: Sequence[Case], folder: Path) -> Results:
    """The figures of every case, of pushes and of pulls, by contestant; all files are below ``folder``."""
    everybody = contestants()
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    (warm,) = write_images(folder / "warm", _WARM)
    layouts = {case.images: write_images(folder / case.images.name, case) for case in cases}
    for number in range(rounds):
        for case in cases:
            for contestant in in_turn(everybody, number):
                say(f"round {number + 1}/{rounds}  {case.name}  {contestant.name}", progress=True)
                taken = _sample(contestant, case, warm, layouts[case.images], folder / "registry")
                for phase, figures in taken.items():
                    by_name = results.setdefault(
                        f"{phase} {case.name}", {known.name: [] for known in everybody}
                    )
                    by_name[contestant.name].append(figures)
    say("", progress=True)
    return results


def _sample(
    contestant: Contestant, case: Case, warm: Path, layouts: Sequence[Path], files: Path
) -> dict[str, dict[str, float]]:
    try:
        with server_of(contestant, files) as server:
            job = Job(
                contestant=contestant.name,
                url=server.url,
                pid=server.pid,
                warm=str(warm),
                layouts=[str(layout) for layout in layouts],
                clients=case.clients,
                at_once=case.at_once,
            )
            command = [
                sys.executable,
                "-m",
                "tests.tools.benchmarks.registry.child",
                json.dumps(attrs.asdict(job)),
            ]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=plain_environment()
            )
    finally:
        shutil.rmtree(files, ignore_errors=True)
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return figures
