"""The README's snippets, run as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.local import LocalECRPublic
from tests.support.oci import write_index
from tests.support.processes import environment, run

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 3


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
async def test_snippet_runs(number: int, tmp_path: Path) -> None:
    write_index(tmp_path / "build" / "image")
    async with LocalECRPublic() as server:
        await _fill(server, tmp_path)
        finished = await run(
            "-W", "error", "-c", SNIPPETS[number], cwd=tmp_path, env=environment(tmp_path, server)
        )
    assert (finished.status, finished.errors) == (0, "")
    assert finished.output.strip()


async def _fill(server: LocalECRPublic, directory: Path) -> None:
    async with ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client:
        await push_image(client, f"oci:{directory}/build/image", "team/app", ["old"], create_repository=True)


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_commands_it_names_exist(command: str) -> None:
    assert command in README
    target = command.removeprefix("make ")
    makefile = (Path(__file__).parents[1] / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
