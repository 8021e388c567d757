"""Sixty-four clients at once: no error, nothing held that is not needed. A soak goes on for a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.registry_process import registry_process
from tests.support.soak import SOAK
from tests.tools.benchmarks.registry_load import CLIENTS, MIB, SETTINGS, load, report

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 1
# Those of its pools, made when they are needed, and the loop's own.
MOST_THREADS = 24
# Buffers of as many large bodies as are read at once, before the allocator has them all.
MOST_ABOVE_IDLE = 96 * MIB
# What the last third of a minute may hold above the first.
FLAT = 24 * MIB


@pytest.mark.timeout(300)
@pytest.mark.slow
async def test_many_clients_push_and_pull(tmp_path: Path) -> None:
    with registry_process(settings=SETTINGS) as server:
        done = await load(server, tmp_path, rounds=ROUNDS, seconds=60.0 if SOAK else 0.0)
    print(report(done))  # noqa: T201 - shown with -s, and when it fails
    assert done.pushes == done.pulls >= CLIENTS * ROUNDS
    assert done.left is not None
    assert done.left.tasks <= done.idle.tasks
    assert done.left.files <= done.idle.files
    assert max(vitals.threads for vitals in (*done.held.values(), done.left)) <= MOST_THREADS
    resident = [vitals.resident for vitals in (*done.held.values(), done.left)]
    assert max(resident) <= done.idle.resident + MOST_ABOVE_IDLE
    third = len(resident) // 3
    if SOAK:
        assert max(resident[-third:]) <= max(resident[:third]) + FLAT
