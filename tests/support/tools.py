"""Programs this project did not write, which tests compare it with."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def require(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where tools are required."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("AIOECRPUBLIC_REQUIRE_TOOLS") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
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
