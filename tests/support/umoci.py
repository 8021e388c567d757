"""An image made from nothing by umoci."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.oci import random_bytes
from tests.support.tools import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES: Mapping[str, bytes] = {f"file{number}": random_bytes(50_000, number) for number in range(3)}
"""What is in the image, a layer each."""


def layout_by_umoci(directory: Path) -> Path:
    """Write an OCI layout with the image, tagged ``1.0``, and return it."""
    image = f"{directory}:1.0"
    run("umoci", "init", "--layout", str(directory))
    run("umoci", "new", "--image", image)
    for name, data in FILES.items():
        path = directory.with_name(name)
        path.write_bytes(data)
        run("umoci", "insert", "--image", image, "--rootless", str(path), f"/{name}")
    return directory
