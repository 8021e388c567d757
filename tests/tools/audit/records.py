"""Installed files held to the hashes that their distributions record."""

from __future__ import annotations

import base64
import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution


def altered(distribution: Distribution) -> Iterator[str]:
    """Each file of a distribution that is not as it is recorded."""
    record = distribution.read_text("RECORD")
    if record is None:
        yield f"{distribution.name} has no record of its files"
        return
    for name, recorded, _ in csv.reader(record.splitlines()):
        if recorded:
            if trouble := _trouble(Path(str(distribution.locate_file(name))), recorded):
                yield f"{distribution.name}: {name} {trouble}"
        # The record cannot have its own, and what is compiled is made where it is installed.
        elif not name.endswith((".dist-info/RECORD", ".pyc")):
            yield f"{distribution.name}: {name} has no hash"


def _trouble(path: Path, recorded: str) -> str:
    if not path.is_file():
        return "is missing"
    algorithm, _, expected = recorded.partition("=")
    digest = hashlib.new(algorithm, path.read_bytes()).digest()
    actual = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return "" if actual == expected else "is not as it was recorded"
