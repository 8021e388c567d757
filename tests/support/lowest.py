"""Pins of the lowest versions that the package says it works with: ``python -m tests.support.lowest``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def pins() -> list[str]:
    """A line for each dependency, extras too, and for boto3, whose versions are botocore's."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    found = [re.sub(r"^([\w.-]+)>=([\d.]+)", r"\1==\2", line) for line in wanted]
    loose = [line for line in found if "==" not in line]
    if loose:
        raise SystemExit(f"{loose[0]} has no lowest version")
    (botocore,) = (line for line in found if line.startswith("botocore=="))
    return [*found, botocore.replace("botocore", "boto3")]


if __name__ == "__main__":
    sys.stdout.write("\n".join(pins()) + "\n")
