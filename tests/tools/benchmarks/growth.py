"""How a push grows: time and memory against the size and number of layers, images and clients.

``python -m tests.tools.benchmarks.growth [--axis NAME] [--rounds N] [--json FILE] [--plots DIR]``. Every
point is a push in a process of its own, to the sink of the other benchmarks.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tests.support.oci import write_mostly_holes
from tests.tools.benchmarks import report
from tests.tools.benchmarks.cases import KIB, MIB, Case, write_layout
from tests.tools.benchmarks.contestants import OURS, find
from tests.tools.benchmarks.job import Job
from tests.tools.benchmarks.samples import take
from tests.tools.benchmarks.sink import Sink
from tests.tools.benchmarks.turns import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.tools.benchmarks.report import Figures

_ROUNDS = 3
_MANY = "tests.tools.benchmarks.pushers.many"
_SMALL = 64 * KIB


@attrs.frozen(kw_only=True)
class Axis:
    """One quantity that grows while everything else stays.

    Attributes:
        name: What it is called on the command line and in tables.
        amounts: Its values, each several times the one before.
        case: What is pushed for one of them.
        write: Writes that for the contestant to find.
        contestant: Who pushes it.
    """

    name: str
    amounts: Sequence[int]
    case: Callable[[int], Case]
    write: Callable[[Path, Case], object]
    contestant: str = OURS


def _write_layers(directory: Path, case: Case) -> None:
    write_layout(directory.parent, case).rename(directory)


def _write_large(directory: Path, case: Case) -> None:
    write_mostly_holes(directory, case.layer_size)


def _write_images(directory: Path, case: Case) -> None:
    directory.mkdir()
    for number in range(case.images):
        _write_layers(directory / f"image-{number:04}", attrs.evolve(case, images=1))


AXES: Final = (
    Axis(
        name="layer-mib",
        amounts=(1, 4, 16, 64, 256, 1024, 4096),
        case=lambda amount: Case(layers=1, layer_size=amount * MIB),
        write=_write_large,
    ),
    Axis(
        name="layers",
        amounts=(1, 10, 100, 1000),
        case=lambda amount: Case(layers=amount, layer_size=_SMALL),
        write=_write_layers,
    ),
    Axis(
        name="images",
        amounts=(1, 10, 100, 1000),
        case=lambda amount: Case(layers=1, layer_size=_SMALL, images=amount),
        write=_write_images,
        contestant=f"{_MANY}:images",
    ),
    Axis(
        name="clients",
        amounts=(1, 10, 100),
        case=lambda amount: Case(layers=1, layer_size=_SMALL, images=amount),
        write=_write_images,
        contestant=f"{_MANY}:clients",
    ),
)


def main() -> None:
    """Parse the command line, run, print tables."""
    names = [axis.name for axis in AXES]
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.growth", description=__doc__)
    parser.add_argument("--axis", action="append", choices=names, help="only this")
    parser.add_argument("--most", type=int, help="leave larger amounts out")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="(%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all samples there")
    parser.add_argument("--plots", metavar="DIR", help="draw each axis there, as SVG; needs matplotlib")
    arguments = parser.parse_args()
    chosen = [axis for axis in AXES if axis.name in (arguments.axis or names)]
    results: dict[str, dict[str, list[Figures]]] = {}
    for axis in chosen:
        results[axis.name] = found = measure(axis, arguments.rounds, arguments.most)
        say(f"\n{table(axis.name, found)}")
    if arguments.json:
        report.save({"growth": results}, Path(arguments.json))
    if arguments.plots:
        from tests.tools.benchmarks.plots import draw

        draw(results, Path(arguments.plots))


def measure(axis: Axis, rounds: int, most: int | None) -> dict[str, list[Figures]]:
    """The samples of each amount; all amounts in turn, round after round."""
    amounts = [amount for amount in axis.amounts if most is None or amount <= most]
    results: dict[str, list[Figures]] = {str(amount): [] for amount in amounts}
    with tempfile.TemporaryDirectory(prefix="aioecrpublic-growth-") as folder, Sink() as sink:
        for amount in amounts:
            axis.write(Path(folder) / str(amount), axis.case(amount))
        for number in range(rounds):
            for amount in amounts:
                say(f"round {number + 1}/{rounds}  {axis.name}  {amount}", progress=True)
                job = Job(endpoint_url=sink.endpoint_url, layout=str(Path(folder) / str(amount)))
                sample = take(find(axis.contestant), axis.case(amount), job, sink)
                results[str(amount)].append(attrs.asdict(sample))
    say("", progress=True)
    return results


def table(name: str, results: dict[str, list[Figures]]) -> str:
    """Medians; ``x linear`` is how many times longer than the amount itself has grown since the row above."""
    rows = []
    before: tuple[int, float] | None = None
    for amount, samples in results.items():
        found = report.summary(samples)
        wall = found["wall"]["median"]
        growth = "" if before is None else f"{wall / before[1] / (int(amount) / before[0]):.2f}"
        before = (int(amount), wall)
        rows.append(
            (
                amount,
                f"{wall:.3f}",
                f"{(found['wall']['max'] - found['wall']['min']) / 2:.3f}",
                f"{found['cpu']['median']:.2f}",
                f"{found['peak_mib']['median']:.1f}",
                f"{found['stall_ms']['median']:.1f}",
                growth,
            )
        )
    return report.layout((name, "wall s", "± s", "CPU s", "MiB", "stall ms", "x linear"), rows)


if __name__ == "__main__":
    main()
