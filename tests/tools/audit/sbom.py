"""The bill of materials, in CycloneDX's JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypedDict

from packaging.utils import canonicalize_name

from tests.tools.audit.environment import run, succeed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from tests.tools.audit.environment import Environment

# What has to be told of each component.
_TOLD = ("name", "version", "purl", "licenses")


class Component(TypedDict, total=False):
    """What is read of a component here."""

    name: str
    version: str
    purl: str
    licenses: list[dict[str, object]]


def write(environment: Environment, path: Path) -> list[Component]:
    """Write the bill of what is in an environment, valid by its schema; the same for the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tool = (sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--validate")
    succeed(run(*tool, "--output-file", path, environment.python))
    components: list[Component] = json.loads(path.read_text("utf-8"))["components"]
    return components


def incomplete(components: list[Component]) -> Iterator[str]:
    for component in components:
        for member in _TOLD:
            if not component.get(member):
                yield f"{component.get('name')} {component.get('version')} has no {member}"


def unexpected(components: list[Component], closure: AbstractSet[str]) -> list[str]:
    """Where the components differ from what the dependencies ask for, by normalised name."""
    listed = {canonicalize_name(component["name"]) for component in components}
    return [
        *(f"{name} is there and nothing asks for it" for name in sorted(listed - closure)),
        *(f"{name} is asked for and not there" for name in sorted(closure - listed)),
    ]
