"""Every example, run by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import environment, run

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SAYS = {
    "custom_credentials.py": "minute 180: 123456789012, 3 keys fetched",
    "hooks.py": "DescribeRepositories: 1 calls, 1 retries",
    "mirror_bot.py": "the same public.ecr.aws/local/mirror/app-4:1.0",
    "mirror_on_dask.py": "killed on the way: 1 worker\npulled back whole: 6 images, 18 layers",
    "push_with_progress.py": "pushed public.ecr.aws/local/team/greeting:again",
    "scheduled_prune.py": "left: 1.0 nightly-1-pinned nightly-5 nightly-6",
    "test_release.py": "4 passed",
    "tiny_image.py": "aioecrpublic push oci:tiny-image team/greeting:1.0 --create",
    "tracing.py": "retry {'attempt': 1, 'error': 'ServerException (CreateRepository)",
    "web_service.py": "data: pushed public.ecr.aws/local/team/greeting:latest\n\nevent: end",
}
"""What each prints once it has done its work."""


def test_each_is_known() -> None:
    assert {path.name for path in EXAMPLES} == set(SAYS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
async def test_example_runs(example: Path, tmp_path: Path) -> None:
    by_pytest = ("-m", "pytest", "-p", "no:cacheprovider") if example.name.startswith("test_") else ()
    finished = await run("-W", "error", *by_pytest, str(example), cwd=tmp_path, env=environment(tmp_path))
    assert (finished.status, finished.errors) == (0, ""), finished.output
    assert SAYS[example.name] in finished.output
