"""What is pushed and pulled: images of such a size, by so many clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from tests.tools.benchmarks.cases import KIB, MIB, write_layout
from tests.tools.benchmarks.cases import Case as Images

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen(kw_only=True)
class Case:
    """So many images of one size, each pushed by one of the clients and then pulled by it.

    Attributes:
        images: How many images, and how large.
        clients: How many clients are at it at once, each with a repository and connections of its own.
        at_once: How many layers of an image a client has under way at once.
    """

    images: Images
    clients: int = 1
    at_once: int = 1

    @property
    def name(self) -> str:
        """As it is called in tables."""
        if self.small:
            return f"{self.images.name}, {self.clients} client{'s' * (self.clients > 1)}"
        return f"{self.images.name}, {self.at_once} at once"

    @property
    def small(self) -> bool:
        """Whether it is images that count, not their bytes."""
        return self.images.layer_size < MIB


_LARGE: Final = Images(layers=4, layer_size=64 * MIB)
FULL: Final = (
    Case(images=Images(layers=2, layer_size=64 * KIB, images=32)),
    Case(images=Images(layers=2, layer_size=64 * KIB, images=64), clients=16),
    Case(images=_LARGE),
    Case(images=_LARGE, at_once=4),
)
QUICK: Final = (
    Case(images=Images(layers=2, layer_size=64 * KIB, images=32), clients=4),
    Case(images=Images(layers=2, layer_size=16 * MIB), at_once=2),
)


def write_images(folder: Path, case: Case) -> list[Path]:
    """OCI layouts with the case's images, one image each; those that are there already stay."""
    single = attrs.evolve(case.images, images=1)
    layouts = []
    for number in range(case.images.images):
        directory = folder / str(number)
        layouts.append(write_layout(directory, single))
    return layouts
