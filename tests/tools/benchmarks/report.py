"""Samples as a table for people and as JSON for programs."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.tools.benchmarks.contestants import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PACKAGES = (
    "aioecrpublic", "aiohttp", "pybase64", "uvloop", "boto3", "botocore", "aiobotocore", "capo-ecr-public",
)  # fmt: skip
_HEADINGS = (
    "wall s", "± s", "MB/s", "CPU s", "MiB", "anon MiB", "stall ms", "threads", "sink CPU s",
    "wall /ours", "CPU /ours",
)  # fmt: skip


Figures: TypeAlias = "Mapping[str, float | None]"
"""What was measured once, by the measure's name."""
Results: TypeAlias = "Mapping[str, Mapping[str, Sequence[Figures]]]"
"""What was measured of each case, and there of each contestant."""


def summary(samples: Sequence[Figures]) -> dict[str, Any]:
    """Each measure's median, least and most."""
    measures: dict[str, Any] = {"samples": len(samples)}
    for name in samples[0]:
        values = [value for sample in samples if (value := sample[name]) is not None]
        if values:
            measures[name] = {"median": median(values), "min": min(values), "max": max(values)}
    return measures


def table(case: str, results: Mapping[str, Sequence[Figures]]) -> str:
    """The table of a push; medians, and half the distance from the fastest to the slowest."""
    summaries = {name: summary(samples) for name, samples in results.items() if samples}
    ours = summaries.get(OURS)
    return layout((case, *_HEADINGS), [(name, *_cells(found, ours)) for name, found in summaries.items()])


def layout(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, the first to the left."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cells(measures: Mapping[str, Any], ours: Mapping[str, Any] | None) -> tuple[str, ...]:
    wall = measures["wall"]
    return (
        f"{wall['median']:.3f}",
        f"{(wall['max'] - wall['min']) / 2:.3f}",
        f"{measures['rate']['median']:.0f}",
        f"{measures['cpu']['median']:.2f}",
        f"{measures['peak_mib']['median']:.1f}",
        f"{measures['anonymous_mib']['median']:.1f}",
        f"{measures['stall_ms']['median']:.1f}" if "stall_ms" in measures else "",
        f"{measures['threads']['median']:.0f}",
        f"{measures['sink_cpu']['median']:.2f}",
        _ratio(measures, ours, "wall"),
        _ratio(measures, ours, "cpu"),
    )


def _ratio(measures: Mapping[str, Any], ours: Mapping[str, Any] | None, name: str) -> str:
    if ours is None or not ours[name]["median"]:
        return ""
    return f"{measures[name]['median'] / ours[name]['median']:.2f}"


def document(parts: Mapping[str, Results]) -> dict[str, Any]:
    """Everything, with what it was measured on."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": ["python", "-m", "tests.tools.benchmarks", *sys.argv[1:]],
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        },
        **{
            part: {
                case: {
                    name: {"summary": summary(samples), "samples": samples}
                    for name, samples in by_name.items()
                    if samples
                }
                for case, by_name in results.items()
            }
            for part, results in parts.items()
        },
    }


def save(parts: Mapping[str, Results], path: Path) -> None:
    """Write everything as JSON, into a folder that is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(parts), indent=1) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
