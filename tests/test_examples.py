"""Every example, run by itself."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.support.processes import environment, run

DIRECTORY = Path(__file__).parents[1] / "examples"
DRAWING = DIRECTORY / "progress_picture.py"
EXAMPLES = sorted(set(DIRECTORY.glob("*.py")) - {DRAWING})
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

PICTURE = (
    r"\$ aioecrpublic push oci:build/image team/app:1\.0",
    r"image sha256:[0-9a-f]{12}: 7 layers, ",
    r"layer sha256:[0-9a-f]{12}: is there, ",
    r"layer sha256:[0-9a-f]{12}: uploaded, ",
    r"total *━",
    r"sha256:[0-9a-f]{12} *━.* MB *[0-9.]+ MB/s",
)
"""What is to be read in the picture of a push."""


def test_each_is_known() -> None:
    assert {path.name for path in EXAMPLES} == set(SAYS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.slow
async def test_example_runs(example: Path, tmp_path: Path) -> None:
    by_pytest = ("-m", "pytest", "-p", "no:cacheprovider") if example.name.startswith("test_") else ()
    finished = await run("-W", "error", *by_pytest, str(example), cwd=tmp_path, env=environment(tmp_path))
    assert (finished.status, finished.errors) == (0, ""), finished.output
    assert SAYS[example.name] in finished.output


@pytest.mark.slow
async def test_the_readmes_picture_is_what_is_drawn_today(tmp_path: Path) -> None:
    finished = await run("-W", "error", str(DRAWING), cwd=tmp_path, env=environment(tmp_path))
    assert (finished.status, finished.errors) == (0, "")
    for picture in (DRAWING.with_name("progress.svg"), tmp_path / "progress.svg"):
        texts = re.findall(r"<text[^>]*>([^<]*)", picture.read_text("utf-8"))
        shown = html.unescape("".join(texts)).replace("\xa0", " ")
        for expected in PICTURE:
            assert re.search(expected, shown), f"{picture}: {expected}"
