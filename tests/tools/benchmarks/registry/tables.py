"""The figures of registries for people."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from tests.tools.benchmarks.registry.contestants import DOCKER, OURS, docker_version
from tests.tools.benchmarks.report import layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.tools.benchmarks.registry.cases import Case
    from tests.tools.benchmarks.report import Figures, Results

_FIGURES: Final = {
    "images_per_s": ("images/s", 1),
    "mib_per_s": ("MiB/s", 0),
    "cpu": ("CPU s", 2),
    "peak_mib": ("MiB", 1),
}
# Next to nothing is no measure for anything.
_LEAST: Final = {"peak_mib": 1.0}


def tables(results: Results, cases: Iterable[Case]) -> str:
    """Medians, and half the distance from the least to the most; a column for each contestant."""
    small = {case.name for case in cases if case.small}
    rows = []
    names: Sequence[str] = ()
    for name, by_name in results.items():
        names = list(by_name)
        rate = "images_per_s" if name.partition(" ")[2] in small else "mib_per_s"
        rows += [_row(name, by_name, figure) for figure in (rate, "cpu", "peak_mib")]
    compared = (f"{OURS} / {DOCKER}",) if DOCKER in names else ()
    return f"{layout(('registry', *names, *compared), rows)}\n{_note(names)}"


def _note(names: Sequence[str]) -> str:
    if DOCKER not in names:
        return f"{DOCKER} is not installed: {OURS} alone."
    return (
        "CPU and memory above idle are the registry's. Both sync files that they write, ours directories too."
        f"\n{docker_version()}"
    )


def _row(name: str, by_name: Mapping[str, Sequence[Figures]], figure: str) -> tuple[str, ...]:
    heading, digits = _FIGURES[figure]
    values = {known: _values(samples, figure) for known, samples in by_name.items()}
    cells = [_cell(found, digits) for found in values.values()]
    if DOCKER in by_name:
        cells.append(_ratio(values[OURS], values[DOCKER], _LEAST.get(figure, 0.0)))
    return (f"{name}: {heading}", *cells)


def _values(samples: Sequence[Figures], figure: str) -> list[float]:
    return [value for sample in samples if (value := sample[figure]) is not None]


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    return f"{median(values):.{digits}f} ± {(max(values) - min(values)) / 2:.{digits}f}"


def _ratio(ours: Sequence[float], theirs: Sequence[float], least: float) -> str:
    return f"{median(ours) / median(theirs):.2f}" if median(theirs) > least else ""
