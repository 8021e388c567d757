"""The benchmarks run and count what arrives; what they measure is for ``make bench``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.growth import AXES, Axis, measure, table
from tests.benchmarks.sink import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_every_axis_of_growth_begins(axis: Axis) -> None:
    results = measure(axis, rounds=1, most=10)
    assert list(results) == [str(amount) for amount in axis.amounts if amount <= 10]
    *_, last = table(axis.name, results).splitlines()
    assert last.split()[0] == list(results)[-1]


@pytest.mark.parametrize("peer", ["ours", "floor"])
def test_a_push_is_measured(peer: str, tmp_path: Path) -> None:
    found = tmp_path / "made" / "found.json"
    subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks", "--quick", "--case", "50x64KiB", "--peer", peer),
            *("--json", found, "--dir", tmp_path),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    case = json.loads(found.read_text())["pushes"]["50x64KiB"]
    assert peer in case
    for measured in case.values():
        (sample,) = measured["samples"]
        assert sample["wall"] > 0
        assert sample["rate"] > 0
