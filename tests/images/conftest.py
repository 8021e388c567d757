from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def open_paths() -> Counter[str]:
    """Return the files and directories this process has open."""
    paths: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink():  # the one that was used for listing is gone
            path = str(link.readlink())
            if path.startswith("/") and not path.startswith(("/dev/", "/proc/")):
                paths[path] += 1
    return paths


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - every test here is held to it
def no_file_is_leaked() -> Iterator[None]:
    before = open_paths()
    yield
    # Whoever relies on the garbage collector has leaked; a thread whose caller was cancelled may yet end.
    gc.disable()
    try:
        deadline = time.monotonic() + 5
        while (leaked := open_paths() - before) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        gc.enable()
    assert not leaked


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - every test here is held to it
async def no_task_is_leaked() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
