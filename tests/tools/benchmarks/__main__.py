"""One interleaved run: round after round, everybody pushes, calls or serves, each in a fresh process."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.tools.benchmarks import cases, report
from tests.tools.benchmarks.calls.rounds import measure as measure_calls
from tests.tools.benchmarks.calls.tables import tables as tables_of_calls
from tests.tools.benchmarks.certificate import make_certificate
from tests.tools.benchmarks.contestants import NAMES, OURS, find
from tests.tools.benchmarks.job import Job
from tests.tools.benchmarks.registry import cases as registry_cases
from tests.tools.benchmarks.registry.rounds import measure as measure_registries
from tests.tools.benchmarks.registry.tables import tables as tables_of_registries
from tests.tools.benchmarks.samples import SampleError, take
from tests.tools.benchmarks.sink import Sink
from tests.tools.benchmarks.turns import in_turn, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.tools.benchmarks.cases import Case
    from tests.tools.benchmarks.contestants import Contestant
    from tests.tools.benchmarks.report import Figures, Results

_ROUNDS = 5
_CALLS = "calls"
_REGISTRY = "registry"
# Parts of the run that are no pushes to a sink.
_OTHERS = (_CALLS, _REGISTRY)
# Up to here a layer is small: many of them are limited by calls, not by bytes.
_SMALL = cases.MIB


def main() -> None:
    """Parse the command line, run, print tables."""
    arguments = _arguments()
    rounds = arguments.rounds or (1 if arguments.quick else _ROUNDS)
    results: dict[str, Results] = {}
    if chosen := _pushes(arguments):
        contestants = [
            find(name) for name in arguments.peer or NAMES if name != "ours-paced" or not arguments.quick
        ]
        with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="aioecrpublic-bench-") as folder:
            results["pushes"] = pushed = _run(Path(folder), chosen, contestants, rounds)
        for case, by_name in pushed.items():
            say(f"\n{report.table(case, by_name)}")
    if _wanted(_CALLS, arguments):
        results[_CALLS] = measure_calls(rounds)
        say(f"\n{tables_of_calls(results[_CALLS])}")
    if _wanted(_REGISTRY, arguments):
        shapes = registry_cases.QUICK if arguments.quick else registry_cases.FULL
        with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="aioecrpublic-bench-") as folder:
            results[_REGISTRY] = measure_registries(rounds, shapes, Path(folder))
        say(f"\n{tables_of_registries(results[_REGISTRY], shapes)}")
    if arguments.json:
        report.save(results, Path(arguments.json))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks", description=__doc__)
    known = (*_OTHERS, *(case.name for case in cases.FULL))
    parser.add_argument("--case", action="append", help=f"only this: {', '.join(known)}")
    parser.add_argument("--peer", action="append", help=f"only this: {', '.join(NAMES)}, or module:function")
    parser.add_argument("--rounds", type=int, help=f"{_ROUNDS} unless told otherwise")
    parser.add_argument("--quick", action="store_true", help="smaller images, one round, about a minute")
    parser.add_argument("--json", metavar="FILE", help="write all samples there")
    parser.add_argument("--dir", metavar="DIR", help="where to put the images, about 800 MiB")
    arguments = parser.parse_args()
    if arguments.peer and OURS not in arguments.peer:
        arguments.peer.insert(0, OURS)
    for name in arguments.peer or ():
        if name not in NAMES and ":" not in name:
            parser.error(f"--peer {name}: known are {', '.join(NAMES)}")
    return arguments


def _wanted(part: str, arguments: argparse.Namespace) -> bool:
    """Whether a part is to run that needs all of its contestants for its comparisons."""
    return part in arguments.case if arguments.case else not arguments.peer


def _pushes(arguments: argparse.Namespace) -> list[Case]:
    """The images to push."""
    by_name = {case.name: case for case in (cases.QUICK if arguments.quick else cases.FULL)}
    if not arguments.case:
        return list(by_name.values())
    known = (*_OTHERS, *by_name)
    for name in arguments.case:
        if name not in known:
            raise SystemExit(f"--case {name}: known are {', '.join(known)}")
    return [by_name[name] for name in arguments.case if name not in _OTHERS]


def _run(folder: Path, chosen: Sequence[Case], contestants: Sequence[Contestant], rounds: int) -> Results:
    results: dict[str, dict[str, list[Figures]]] = {
        case.name: {contestant.name: [] for contestant in contestants} for case in chosen
    }
    certificate = make_certificate(folder)
    with ExitStack() as stack:
        sinks = {
            tls: stack.enter_context(Sink(certificate if tls else None))
            for tls in {case.tls for case in chosen}
        }
        for number in range(rounds):
            for case in chosen:
                layout = cases.write_layout(folder, case)
                sink = sinks[case.tls]
                job = Job(
                    endpoint_url=sink.endpoint_url,
                    layout=str(layout),
                    authority=certificate.authority if case.tls else None,
                )
                for contestant in in_turn(contestants, number):
                    if contestant.only_small and case.layer_size > _SMALL:
                        continue
                    say(f"round {number + 1}/{rounds}  {case.name}  {contestant.name}", progress=True)
                    try:
                        sample = take(contestant, case, job, sink)
                        results[case.name][contestant.name].append(attrs.asdict(sample))
                    except SampleError as error:
                        raise SystemExit(str(error)) from error
    say("", progress=True)
    return results


if __name__ == "__main__":
    main()
