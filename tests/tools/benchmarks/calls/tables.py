"""The figures of calls for people, and how they compare with what is aimed at."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.tools.benchmarks.calls.callers import FLOOR, OURS
from tests.tools.benchmarks.calls.cases import HUNDRED, SMALL
from tests.tools.benchmarks.calls.child import CLIENTS
from tests.tools.benchmarks.calls.cold import BARE
from tests.tools.benchmarks.calls.rounds import COLD
from tests.tools.benchmarks.report import layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.tools.benchmarks.report import Figures, Results

_PEERS = ("capo", "aiobotocore", "boto3")


def tables(results: Results) -> str:
    """Medians: a line for each case and figure, a column for each contestant; then the aims."""
    calls = {case: by_name for case, by_name in results.items() if case != COLD}
    return "\n\n".join(
        [
            _table("cold: import, client, call", {COLD: results[COLD]}),
            _table("calls", calls),
            "\n".join(f"{what}: {value:.2f} (aimed at {aim})" for what, value, aim in _aims(results)),
        ]
    )


def _table(title: str, cases: Results) -> str:
    names = list(next(iter(cases.values())))
    rows = [
        (f"{case} {figure}", *(f"{_median(by_name[name], figure):.1f}" for name in names))
        for case, by_name in cases.items()
        for figure in next(iter(by_name.values()))[0]
    ]
    return layout((title, *names), rows)


def _median(samples: Sequence[Figures], figure: str) -> float:
    return median(value for sample in samples if (value := sample[figure]) is not None)


def _medians(by_name: Mapping[str, Sequence[Figures]], figure: str) -> dict[str, float]:
    return {name: _median(samples, figure) for name, samples in by_name.items()}


def _aims(results: Results) -> list[tuple[str, float, str]]:
    """What is compared, what it came to, what is aimed at."""
    small, hundred = (_medians(results[case.name], "cpu_us") for case in (SMALL, HUNDRED))
    cold = _medians(results[COLD], "ms")
    made = _medians(results[CLIENTS], "make_ms")
    return [
        ("small call, CPU of aiobotocore / ours", small["aiobotocore"] / small[OURS], ">= 3"),
        ("small call, CPU of capo / ours", small["capo"] / small[OURS], ">= 2"),
        ("small call, CPU of ours / a bare POST", small[OURS] / small[FLOOR], "<= 1.25"),
        ("100 results, CPU of aiobotocore / ours", hundred["aiobotocore"] / hundred[OURS], ">= 5"),
        ("100 results, CPU of capo / ours", hundred["capo"] / hundred[OURS], ">= 1.5"),
        ("client made and opened, ms", made[OURS], "< 1"),
        ("cold start, ours / importing aiohttp and cattrs", cold[OURS] / cold[BARE], "<= 1.3"),
        ("cold start, the fastest peer / ours", min(cold[peer] for peer in _PEERS) / cold[OURS], "> 1"),
    ]
