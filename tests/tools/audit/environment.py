"""A virtual environment with what a user gets: the wheel with all its extras, not even pip beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import attrs
from packaging.utils import canonicalize_name

from tests.support.distributions import build

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import Distribution

ROOT = Path(__file__).parents[3]
PACKAGE = "aioecrpublic"
# pytest loads its plugin, so whoever has the plugin loaded has pytest.
_IMPORT_ALL = """
import importlib, pkgutil, aioecrpublic
for module in pkgutil.walk_packages(aioecrpublic.__path__, "aioecrpublic."):
    if module.name != "aioecrpublic.pytest_plugin":
        importlib.import_module(module.name)
"""


class _Metadata(TypedDict):
    name: str
    version: str


class _Installed(TypedDict):
    is_yanked: bool
    metadata: _Metadata


class InstallationReport(TypedDict):
    """What is read of pip's report of what it installed."""

    install: list[_Installed]


@attrs.frozen
class Environment:
    """A virtual environment, looked at from outside."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def site(self) -> Path:
        """Where its packages are."""
        base = str(self.directory)
        return Path(sysconfig.get_path("purelib", "venv", {"base": base, "platbase": base}))

    def distributions(self) -> dict[str, Distribution]:
        """What is installed there, by normalised name."""
        return {canonicalize_name(found.name): found for found in distributions(path=[str(self.site)])}

    def pip(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the pip of this process for that environment, which has none."""
        return run(
            sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", *arguments
        )


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def succeed(done: subprocess.CompletedProcess[str]) -> None:
    """Go on if a program did what it had to.

    Raises:
        SystemExit: It did not; with what it said.
    """
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, done.args))} failed:\n{done.stdout}{done.stderr}")


def make(directory: Path) -> list[str]:
    """Make an environment anew, with the newest versions there are; what of it was yanked.

    Raises:
        SystemExit: It cannot be made, or another directory would have to go for it.
    """
    if directory.exists() and not (directory / "pyvenv.cfg").is_file():
        raise SystemExit(f"{directory} is no virtual environment")
    venv.create(directory, clear=True, symlinks=True)
    environment = Environment(directory)
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary, "report.json")
        build(ROOT, Path(temporary), "wheel")
        # By itself first: the index may have another of the same name and version, and what is installed from
        # a path has no package URL.
        succeed(environment.pip("install", "--no-deps", "--no-index", "--find-links", temporary, PACKAGE))
        succeed(environment.pip("install", "--report", report, everything(environment.distributions())))
        return yanked(json.loads(report.read_text("utf-8")))


def everything(installed: Mapping[str, Distribution]) -> str:
    """The requirement of the package in the version that is there, with all its extras."""
    package = installed[PACKAGE]
    extras = package.metadata.get_all("Provides-Extra", [])
    return f"{PACKAGE}[{','.join(extras)}]=={package.version}"


def yanked(report: InstallationReport) -> list[str]:
    """What the index had withdrawn of that which pip installed."""
    return [
        f"{item['metadata']['name']} {item['metadata']['version']}"
        for item in report["install"]
        if item["is_yanked"]
    ]


def inconsistent(environment: Environment) -> list[str]:
    """What is missing or of the wrong version for what is there."""
    done = environment.pip("check")
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def broken(environment: Environment) -> list[str]:
    """What keeps the modules of the package from being imported, or its commands from running."""
    commands = environment.directory / "bin"
    tried = (
        run(environment.python, "-I", "-c", _IMPORT_ALL),
        run(commands / PACKAGE, "--version"),
        run(commands / f"docker-credential-{PACKAGE}", "list"),
    )
    return [done.stderr.strip().rpartition("\n")[2] for done in tried if done.returncode]
