from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.local.rules.helpers import OTHER, OTHER_ACCOUNT, Boto, Clock, boto, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aioecrpublic.local import LocalECRPublic


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[LocalECRPublic]:
    """A registry in a thread of its own, where SDKs that block may talk to it, known to two accounts."""
    with running(accounts={OTHER_ACCOUNT: OTHER}, clock=clock) as registry:
        yield registry


@pytest.fixture
def client(server: LocalECRPublic) -> Boto:
    return boto(server)


@pytest.fixture
def repository(client: Boto) -> str:
    client.create_repository(repositoryName="team/app")
    return "team/app"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts file systems in memory, by their options; only root can."""
    if os.geteuid() or sys.platform != "linux":
        pytest.skip("only root mounts file systems")
    points: list[Path] = []

    def mount(options: str) -> Path:
        point = tmp_path / f"mount-{len(points)}"
        point.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], check=True)
        points.append(point)
        return point

    yield mount
    for point in points:
        subprocess.run(["umount", "-l", str(point)], check=True)
