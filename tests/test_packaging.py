"""What is published: wheel and source distribution, built, checked and used away from this checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.distributions import build
from tests.support.processes import environment, run
from tests.tools.audit.closure import wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
# What an installed package needs and the project's other folders do not have.
NOT_PYTHON = {".j2", ".toml", ".typed"}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as installers build it, from the source distribution."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (project,) = unpacked.iterdir()
    return build(project, tmp_path_factory.mktemp("wheel"), "wheel")


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def files_of(folder: str) -> set[str]:
    """The files of a folder, without what running it leaves there."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert inside == files_of("aioecrpublic")
    assert {Path(name).suffix for name in inside} == {".py", *NOT_PYTHON}


def test_the_wheel_asks_for_what_is_declared_and_for_an_extra_only_where_it_is_wanted(
    wheel: Path, tmp_path: Path
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)  # noqa: S202 - ours
    (published,) = distributions(path=[str(tmp_path)])
    extras = project["optional-dependencies"]
    assert published.metadata.get_all("Provides-Extra") == sorted(extras)
    assert published.metadata["Requires-Python"] == project["requires-python"]
    for extra in ("", *extras):
        lines = [*project["dependencies"], *extras.get(extra, ())]
        needed = {canonicalize_name(found.name) for found in map(Requirement, lines) if applies(found)}
        assert {name for name, _ in wanted(published, extra)} == needed


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def test_the_source_distribution_can_be_tested(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("aioecrpublic", "tests", "examples", "stubs"):
        assert files_of(folder) <= inside
    assert {"pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"} <= inside


def test_the_index_would_take_them(wheel: Path, sdist: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", wheel, sdist],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


async def test_it_runs_where_only_the_wheel_is(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 - ours
    home = tmp_path / "home"
    home.mkdir()
    variables = environment(home) | {"PYTHONPATH": str(site)}
    for arguments, expected in runs(site):
        finished = await run("-P", *arguments, cwd=home, env=variables)
        assert finished.status == 0, finished.errors
        assert expected in finished.output


def runs(site: Path) -> Iterable[tuple[tuple[str, ...], str]]:
    where = "import aioecrpublic; print(aioecrpublic.__file__)"
    yield ("-c", where), str(site)
    yield ("-m", "aioecrpublic", "--version"), "0."
    # The templates and the overlay came with it.
    yield ("-m", "aioecrpublic.codegen", "--check"), ""
