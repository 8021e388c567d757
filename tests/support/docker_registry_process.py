"""Debian's docker-registry as a process on a loopback port, for tests and benchmarks alike."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

PROGRAM = "docker-registry"
_START_TIMEOUT = 30.0


@attrs.frozen
class DockerRegistry:
    """One that answers.

    Attributes:
        host: ``127.0.0.1:PORT``.
        pid: Its process.
    """

    host: str
    pid: int


@contextmanager
def docker_registry_process(
    program: str,
    directory: Path,
    *,
    delete: bool = True,
    auth: Mapping[str, object] | None = None,
    port: int | None = None,
) -> Generator[DockerRegistry]:
    """Run the program with its data below ``directory``; it asks nobody anything, or as ``auth`` says.

    Raises:
        RuntimeError: It does not answer, with what it wrote to its log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{port or _free_port()}"
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": delete},
            # As in Debian's own configuration.
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {"addr": host, "secret": "for tests"},
    }
    if auth is not None:
        config["auth"] = auth
    # JSON is YAML too.
    (directory / "config.yml").write_text(json.dumps(config))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(directory / "config.yml")], stdout=log, stderr=log)
    try:
        _wait_for(host, process, directory / "log")
        yield DockerRegistry(host, process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert isinstance(port, int)
    return port


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"docker-registry has not started: {log.read_text('utf-8')}")
