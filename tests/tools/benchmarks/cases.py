"""What is pushed: images of so many layers of such a size, and how."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs

from tests.support.oci import Layer, LayoutBuilder, digest_of

if TYPE_CHECKING:
    from pathlib import Path

MIB: Final = 1024 * 1024
KIB: Final = 1024


@attrs.frozen(kw_only=True)
class Case:
    """One image, or several of the same size, pushed in one way.

    Attributes:
        layers: How many layers an image has.
        layer_size: Bytes of each.
        tls: Whether the service speaks TLS.
        images: How many images.
    """

    layers: int
    layer_size: int
    tls: bool = False
    images: int = 1

    @property
    def name(self) -> str:
        """As it is called on the command line and in tables."""
        unit, word = (MIB, "MiB") if self.layer_size >= MIB else (KIB, "KiB")
        return f"{self.layers}x{self.layer_size // unit}{word}{'-tls' if self.tls else ''}"

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return self.images * self.layers * self.layer_size


_SHAPES = ((1, 256 * MIB), (8, 64 * MIB), (200, 64 * KIB))
FULL: Final = tuple(
    Case(layers=layers, layer_size=size, tls=tls) for tls in (False, True) for layers, size in _SHAPES
)
QUICK: Final = (
    Case(layers=1, layer_size=64 * MIB),
    Case(layers=4, layer_size=32 * MIB),
    Case(layers=50, layer_size=64 * KIB),
    Case(layers=4, layer_size=32 * MIB, tls=True),
)


def write_layout(folder: Path, case: Case) -> Path:
    """An OCI layout with the case's image in it; layers that cannot be compressed, each different."""
    directory = folder / f"{case.layers}x{case.layer_size}"
    if not directory.exists():
        builder = LayoutBuilder(directory)
        image = builder.image([_layer(case.layer_size) for _ in range(case.layers)])
        builder.tag(image, "1.0")
    return directory


def _layer(size: int) -> Layer:
    data = os.urandom(size)
    return Layer(data=data, diff_id=digest_of(data))
