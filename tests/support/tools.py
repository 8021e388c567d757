"""Programs this project did not write, which tests compare it with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything that tests need is required."""
    if os.environ.get("AIOECRPUBLIC_REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def require(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where tools are required."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"{name} is not installed")
    return path


def run(name: str, *arguments: str) -> str:
    """Run a program to its end and return its standard output; a failure shows what it said."""
    done = subprocess.run(
        [require(name), *arguments], check=False, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        pytest.fail(f"{name} {' '.join(arguments)} failed: {done.stderr or done.stdout}")
    return done.stdout


def skopeo(*arguments: str) -> str:
    """Run skopeo, which by default wants a signature policy that is not there."""
    return run("skopeo", "--insecure-policy", *arguments)


def python_of(name: str) -> str:
    """Return the interpreter of a program that is a Python script."""
    path = require(name)
    if "shims" in Path(path).parts:
        path = subprocess.run(
            ["pyenv", "which", name], check=True, capture_output=True, text=True
        ).stdout.strip()
    with Path(path).open("rb") as script:
        first = script.readline().decode("utf-8", "replace").strip()
    if not first.startswith("#!") or "python" not in first:
        pytest.fail(f"{path} is no Python script")
    return first.removeprefix("#!").split()[0]


def node_package(name: str) -> str:
    """Return the directory whose ``node_modules`` has an npm package: npm's global one, or a chosen one."""
    require("node")
    root = os.environ.get("AIOECRPUBLIC_NODE_MODULES") or run("npm", "root", "--global").strip()
    if not (Path(root) / name / "package.json").is_file():
        unavailable(f"the npm package {name} is not installed in {root}")
    return str(Path(root).parent)
