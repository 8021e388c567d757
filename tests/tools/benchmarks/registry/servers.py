"""The registries, each in a fresh process with an empty directory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from tests.support.docker_registry_process import docker_registry_process
from tests.tools.benchmarks.process import plain_environment
from tests.tools.benchmarks.registry.contestants import DOCKER
from tests.tools.benchmarks.sink import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.tools.benchmarks.registry.contestants import Contestant

_ENDPOINT = "AWS_ENDPOINT_URL_ECR_PUBLIC="


@attrs.frozen
class Server:
    """A registry that answers.

    Attributes:
        url: Where.
        pid: Its process.
    """

    url: str
    pid: int


@contextmanager
def server_of(contestant: Contestant, directory: Path) -> Generator[Server]:
    """Run the contestant's registry with its files below ``directory``.

    Raises:
        RuntimeError: It does not answer.
    """
    if contestant.docker:
        with docker_registry_process(DOCKER, directory) as running:
            yield Server(f"http://{running.host}", running.pid)
    else:
        with _ours(directory) as server:
            yield server


@contextmanager
def _ours(directory: Path) -> Generator[Server]:
    """Our command, as it is run by who wants to keep what is pushed."""
    command = [sys.executable, "-m", "aioecrpublic", "local", "--data-dir", str(directory)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=plain_environment()
        ) as process,
    ):
        try:
            assert process.stdout is not None
            _, found, url = process.stdout.readline().partition(_ENDPOINT)
            if not found:
                log.seek(0)
                raise RuntimeError(f"the local registry has not started: {log.read()}")
            yield Server(url.strip(), process.pid)
        finally:
            process.terminate()
