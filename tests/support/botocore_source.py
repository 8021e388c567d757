"""The cases of botocore's own tests, from the source distribution of the botocore that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.tools import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILD = Path(__file__).parents[2] / "build"
_WANTED = ("tests/unit/protocols/", "tests/functional/endpoint-rules/")


def cases(*parts: str) -> Any:
    """The JSON of a file beneath ``tests`` of the distribution."""
    return json.loads(_unpacked().joinpath("tests", *parts).read_text("utf-8"))


def _unpacked() -> Path:
    """The folder with the cases; what was fetched once stays in ``build``."""
    folder = _BUILD / f"botocore-{version('botocore')}"
    if not folder.exists():
        _BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_BUILD) as made:
            archive = _fetched(Path(made))
            _unpack(archive, Path(made))
            try:
                Path(made, folder.name).rename(folder)
            except OSError:
                # Another test was faster.
                assert folder.exists()
    return folder


def _fetched(folder: Path) -> Path:
    """The source distribution, fetched from the package index."""
    wanted = f"botocore=={version('botocore')}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-binary",
        ":all:",
        "--no-deps",
        wanted,
    ]
    done = subprocess.run([*command, "--dest", folder], check=False, capture_output=True, text=True)
    if done.returncode:
        unavailable(f"the source of {wanted} cannot be fetched: {done.stderr.strip()[-300:]}")
    (archive,) = folder.glob("botocore-*.tar.gz")
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, members=_wanted(tar), filter="data")


def _wanted(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for entry in tar:
        if entry.isfile() and entry.name.partition("/")[2].startswith(_WANTED):
            yield entry
