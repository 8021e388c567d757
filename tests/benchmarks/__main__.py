"""One interleaved run: round after round, everybody pushes every case, each time in a fresh process."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import cases, report
from tests.benchmarks.certificate import make_certificate
from tests.benchmarks.contestants import NAMES, OURS, find
from tests.benchmarks.job import Job
from tests.benchmarks.samples import SampleError, take
from tests.benchmarks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.cases import Case
    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.samples import Sample

_ROUNDS = 5
# Up to here a layer is small: many of them are limited by calls, not by bytes.
_SMALL = cases.MIB


def main() -> None:
    """Parse the command line, run, print tables."""
    arguments = _arguments()
    chosen = _cases(arguments.case, cases.QUICK if arguments.quick else cases.FULL)
    contestants = [
        find(name) for name in arguments.peer or NAMES if name != "ours-paced" or not arguments.quick
    ]
    rounds = arguments.rounds or (1 if arguments.quick else _ROUNDS)
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="aioecrpublic-bench-") as folder:
        results = _run(Path(folder), chosen, contestants, rounds)
    for case, by_name in results.items():
        _say(f"\n{report.table(case, by_name)}")
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps(report.document(results), indent=1) + "\n", encoding="utf-8"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--case", action="append", help=f"only this: {', '.join(c.name for c in cases.FULL)}")
    parser.add_argument("--peer", action="append", help=f"only this: {', '.join(NAMES)}, or module:function")
    parser.add_argument("--rounds", type=int, help=f"{_ROUNDS} unless told otherwise")
    parser.add_argument("--quick", action="store_true", help="smaller images, one round, less than a minute")
    parser.add_argument("--json", metavar="FILE", help="write all samples there")
    parser.add_argument("--dir", metavar="DIR", help="where to put the images, about 800 MiB")
    arguments = parser.parse_args()
    if arguments.peer and OURS not in arguments.peer:
        arguments.peer.insert(0, OURS)
    for name in arguments.peer or ():
        if name not in NAMES and ":" not in name:
            parser.error(f"--peer {name}: known are {', '.join(NAMES)}")
    return arguments


def _cases(names: Sequence[str] | None, known: Sequence[Case]) -> list[Case]:
    by_name = {case.name: case for case in known}
    unknown = [name for name in names or () if name not in by_name]
    if unknown:
        raise SystemExit(f"--case {unknown[0]}: known are {', '.join(by_name)}")
    return [by_name[name] for name in names or by_name]


def _run(
    folder: Path, chosen: Sequence[Case], contestants: Sequence[Contestant], rounds: int
) -> dict[str, dict[str, list[Sample]]]:
    results: dict[str, dict[str, list[Sample]]] = {
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
                for contestant in _in_turn(contestants, number):
                    if contestant.only_small and case.layer_size > _SMALL:
                        continue
                    _say(f"round {number + 1}/{rounds}  {case.name}  {contestant.name}", progress=True)
                    try:
                        results[case.name][contestant.name].append(take(contestant, case, job, sink))
                    except SampleError as error:
                        raise SystemExit(str(error)) from error
    _say("", progress=True)
    return results


def _in_turn(contestants: Sequence[Contestant], number: int) -> Sequence[Contestant]:
    """Everybody once, another one first in every round."""
    start = number % len(contestants)
    return [*contestants[start:], *contestants[:start]]


def _say(text: str, *, progress: bool = False) -> None:
    """To the output; progress to a terminal only, over itself."""
    if not progress:
        sys.stdout.write(text + "\n")
    elif sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
