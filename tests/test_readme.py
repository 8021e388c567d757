"""The README as a reader follows it: its blocks in their order, in one directory, with one local registry."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import attrs
import pytest

import aioecrpublic
from aioecrpublic import ECRPublicClient
from aioecrpublic._generated.service import SERVICE
from aioecrpublic.local import LocalECRPublic
from tests.support.oci import write_image
from tests.support.processes import environment, run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", README, re.DOTALL)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NOT_RUN = re.compile(r"^(pip install|make) .*$", re.MULTILINE)
"""What builds or tests all of this; it is looked up instead."""
SERVES = "aioecrpublic local"


@attrs.frozen
class Reader:
    """Somebody with a directory, an image in it, and a registry."""

    directory: Path
    server: LocalECRPublic

    def adapt(self, block: str) -> str:
        """A block with this registry's addresses instead of those of the world's."""
        host = self.server.registry_url.removeprefix("http://")
        return block.replace("quay.io/prometheus/busybox:latest", f"{host}/local/team/app:1.0")

    @property
    def environment(self) -> dict[str, str]:
        variables = environment(self.directory, self.server)
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
        return variables | self.server.environment

    async def python(self, block: str) -> str:
        """What a snippet prints, or pytest of one that is tests."""
        words: tuple[str, ...] = ("-W", "error", "-c", block)
        if "def test_" in block:
            (self.directory / "test_snippet.py").write_text(block)
            words = ("-m", "pytest", "-o", "asyncio_default_fixture_loop_scope=function", "test_snippet.py")
        finished = await run(*words, cwd=self.directory, env=self.environment)
        assert (finished.status, finished.errors) == (0, ""), f"{block}\n{finished.output}"
        return finished.output

    async def shell(self, block: str) -> str:
        """What lines of shell print."""
        process = await asyncio.create_subprocess_exec(
            "sh", "-e", "-c", block, cwd=self.directory, env=self.environment, stdout=PIPE, stderr=PIPE
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, f"{block}\n{errors.decode()}"
        return (output + errors).decode()

    async def serve(self, block: str) -> str:
        """What a registry prints until Ctrl-C."""
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f"exec {block}", cwd=self.directory, env=self.environment, stdout=PIPE
        )
        assert process.stdout is not None
        output = await process.stdout.readuntil(b"export AIOECRPUBLIC_REGISTRY_URL=")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        return output.decode()


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 20


@pytest.mark.slow
async def test_every_block_runs(tmp_path: Path) -> None:
    write_image(tmp_path / "build" / "image", tag="1.0")
    async with LocalECRPublic() as server:
        reader = Reader(tmp_path, server)
        for language, block in BLOCKS:
            adapted = NOT_RUN.sub("", reader.adapt(block))
            if language == "python":
                assert (await reader.python(adapted)).strip(), block
            elif block.startswith(SERVES):
                assert "export AWS_ENDPOINT_URL_ECR_PUBLIC=http://127.0.0.1:" in await reader.serve(adapted)
            else:
                await reader.shell(adapted)


def test_the_programs_are_typed(tmp_path: Path) -> None:
    """All but the tests, and the one that imports what it has just generated."""
    programs = [
        block
        for language, block in BLOCKS
        if language == "python" and "def test_" not in block and "ecr_client" not in block
    ]
    for number, program in enumerate(programs):
        (tmp_path / f"readme_{number}.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *sorted(tmp_path.glob("*.py"))],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"in {len(programs)} source files" in done.stdout


@pytest.mark.parametrize("target", re.findall(r"(?m)(?:`|^)make ([a-z]+)", README + CONTRIBUTING))
def test_the_targets_it_names_exist(target: str) -> None:
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_the_files_it_links_to_exist() -> None:
    paths = re.findall(r"\]\(([^)#:]+)\)", README)
    paths += re.findall(r"`((?:aioecrpublic|tests|stubs|examples)/[\w/.]*)`", CONTRIBUTING)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_heading_it_links_to_exists() -> None:
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_every_operation_is_in_the_migration_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+)Command` \| `(\w+)` \|", README, re.MULTILINE))
    assert rows == {name: operation.method for name, operation in SERVICE.operations.items()}


def test_what_it_offers_instead_exists() -> None:
    jobs = re.findall(r"^\| `\w+Command` \| `\w+` \| (.*) \|$", README, re.MULTILINE)
    for name in {name for job in jobs for name in re.findall(r"`(\w+)", job)}:
        assert hasattr(ECRPublicClient, name) or name in aioecrpublic.__all__, name
