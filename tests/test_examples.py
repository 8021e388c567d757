"""Every example, run by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import environment, run

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
async def test_example_runs(example: Path, tmp_path: Path) -> None:
    finished = await run("-W", "error", str(example), cwd=tmp_path, env=environment(tmp_path))
    assert (finished.status, finished.errors) == (0, "")
    assert finished.output.strip()
