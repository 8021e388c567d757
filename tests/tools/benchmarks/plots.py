"""Growth as pictures: time and memory against the amount, one SVG an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.tools.benchmarks.report import summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.tools.benchmarks.report import Figures

mpl.use("svg")


def draw(results: Mapping[str, Mapping[str, Sequence[Figures]]], folder: Path) -> None:
    """Write ``AXIS.svg`` for each axis; the dashed line is what growing in proportion would look like."""
    folder.mkdir(parents=True, exist_ok=True)
    for axis, found in results.items():
        amounts = [int(amount) for amount in found]
        summaries = [summary(samples) for samples in found.values()]
        walls = [each["wall"]["median"] for each in summaries]
        peaks = [each["peak_mib"]["median"] for each in summaries]
        figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
        time.plot(amounts, walls, marker="o")
        time.plot(amounts, [walls[-1] * amount / amounts[-1] for amount in amounts], "--", color="grey")
        time.set(xscale="log", yscale="log", xlabel=axis, ylabel="seconds")
        memory.plot(amounts, peaks, marker="o")
        memory.set(xscale="log", xlabel=axis, ylabel="MiB above idle", ylim=(0, max(*peaks, 1) * 1.2))
        figure.savefig(folder / f"{axis}.svg")
        plt.close(figure)
