"""What the package's dependencies ask for, and theirs, on this Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import Distribution


def closure(requirement: str, installed: Mapping[str, Distribution]) -> set[str]:
    """The normalised names of what has to be installed for a requirement, its own included.

    Args:
        requirement: Such as ``name[extra]``.
        installed: Distributions by normalised name; one that is wanted and not there is in the result too.
    """
    first = Requirement(requirement)
    todo: list[tuple[str, str]] = [(canonicalize_name(first.name), extra) for extra in ("", *first.extras)]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        if name in installed:
            new = set(wanted(installed[name], extra)) - seen
            seen |= new
            todo += new
    return {name for name, _ in seen}


def wanted(distribution: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Each direct dependency with each extra that is asked of it, ``""`` for none."""
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for further in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), further
