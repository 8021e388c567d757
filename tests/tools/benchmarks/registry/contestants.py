"""Who takes part: a registry, and the way in which it is pushed to."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import attrs

from tests.support.docker_registry_process import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS: Final = "ours"
API: Final = "ours, API"
DOCKER: Final = PROGRAM


@attrs.frozen(kw_only=True)
class Contestant:
    """A registry and a way to push.

    Attributes:
        name: As it is called in tables.
        docker: Whether the registry is docker-registry.
        api: Whether pushes go by the ECR Public API, by this package's client. Pulls never do.
    """

    name: str
    docker: bool = False
    api: bool = False


_OURS: Final = (Contestant(name=OURS), Contestant(name=API, api=True))
_DOCKER: Final = Contestant(name=DOCKER, docker=True)


def contestants() -> Sequence[Contestant]:
    """Everybody who is installed."""
    return _OURS if shutil.which(PROGRAM) is None else (_OURS[0], _DOCKER, _OURS[1])


def docker_version() -> str:
    """What docker-registry says of itself, such as ``docker-registry github.com/… 2.8.2``."""
    done = subprocess.run([PROGRAM, "--version"], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def find(name: str) -> Contestant:
    """The contestant called ``name``."""
    return next(contestant for contestant in (*_OURS, _DOCKER) if contestant.name == name)
