"""The benchmarks run and count what arrives; what they measure is for ``make bench``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.tools import require
from tests.tools.benchmarks.cases import KIB, MIB
from tests.tools.benchmarks.cases import Case as Images
from tests.tools.benchmarks.growth import AXES, Axis, measure, table
from tests.tools.benchmarks.registry import contestants
from tests.tools.benchmarks.registry.cases import Case
from tests.tools.benchmarks.registry.job import PULLS
from tests.tools.benchmarks.registry.rounds import measure as measure_registries
from tests.tools.benchmarks.registry.tables import tables
from tests.tools.benchmarks.sink import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.tools.benchmarks.report import Figures

FIVE = Case(images=Images(layers=2, layer_size=KIB, images=5), clients=2)


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
            *(sys.executable, "-m", "tests.tools.benchmarks"),
            *("--quick", "--case", "50x64KiB", "--peer", peer),
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


@pytest.mark.interop
@pytest.mark.slow
def test_registries_are_measured_side_by_side(tmp_path: Path) -> None:
    require(contestants.DOCKER)
    found = measure_registries(1, [FIVE], tmp_path)
    pushed, pulled = found[f"push {FIVE.name}"], found[f"pull {FIVE.name}"]
    assert list(pushed) == list(pulled) == ["ours", "docker-registry", "ours, API"]
    # Pulls never go by the API.
    assert pulled["ours, API"] == []
    for samples in pushed.values():
        assert_counted(samples, 5)
    for name in ("ours", "docker-registry"):
        assert_counted(pulled[name], 5 * PULLS)
    # Of the registries nothing is left, the images stay for the next round.
    assert {path.name for path in tmp_path.iterdir()} == {"warm", FIVE.images.name}
    header, *_, note, version = tables(found, [FIVE]).splitlines()
    assert header.split()[-3:] == ["ours", "/", "docker-registry"]
    assert "sync" in note
    assert "docker" in version


@pytest.mark.slow
def test_the_local_registry_is_measured_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = measure_registries(1, [FIVE], tmp_path)
    assert list(found) == [f"push {FIVE.name}", f"pull {FIVE.name}"]
    for by_name, images in zip(found.values(), (5, 5 * PULLS), strict=True):
        assert list(by_name) == ["ours", "ours, API"]
        assert_counted(by_name["ours"], images)
    header, _, *rows, note = tables(found, [FIVE]).splitlines()
    assert header.split() == ["registry", "ours", "ours,", "API"]
    assert [row.partition(": ")[2].split()[0] for row in rows] == ["images/s", "CPU", "MiB"] * 2
    assert note == "docker-registry is not installed: ours alone."


def assert_counted(samples: Sequence[Figures], images: int) -> None:
    (sample,) = samples
    wall, images_per_s, mib_per_s = (sample[figure] for figure in ("wall", "images_per_s", "mib_per_s"))
    assert wall is not None
    assert images_per_s == pytest.approx(images / wall)
    assert mib_per_s is not None
    layers = images * 2 * KIB / MIB
    # The layers, and less than as much again of configs and manifests.
    assert layers < mib_per_s * wall < 2 * layers
