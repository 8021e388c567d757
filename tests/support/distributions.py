"""The package as it is published: wheel and source distribution."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def build(project: Path, directory: Path, target: str) -> Path:
    """Build the ``wheel`` or the ``sdist`` of a project into a directory that has no other."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", directory],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built
