"""What a push takes of memory, in a process of its own, to a service in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.oci import write_mostly_holes
from tests.tools.benchmarks.cases import MIB, Case
from tests.tools.benchmarks.contestants import OURS, find
from tests.tools.benchmarks.job import Job
from tests.tools.benchmarks.samples import take
from tests.tools.benchmarks.sink import Sink

if TYPE_CHECKING:
    from pathlib import Path

# What two equal pushes differ by, and nothing that grows with a layer.
TOLERANCE_MIB = 4
# The design's bound for a push from a file.
MOST_MIB = 16


@pytest.mark.slow
def test_a_layer_of_3_gib_takes_the_memory_of_one_of_300_mib(tmp_path: Path) -> None:
    with Sink() as sink:
        small, large = (_peak_mib(tmp_path / f"of-{size}", size, sink) for size in (300 * MIB, 3072 * MIB))
    assert large <= small + TOLERANCE_MIB
    assert large <= MOST_MIB


def _peak_mib(directory: Path, size: int, sink: Sink) -> float:
    """MiB above idle that the push of one layer takes; the sink has counted every byte of it."""
    write_mostly_holes(directory, size)
    job = Job(endpoint_url=sink.endpoint_url, layout=str(directory))
    return take(find(OURS), Case(layers=1, layer_size=size), job, sink).peak_mib
