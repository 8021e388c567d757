"""How large layers and their parts may be, and how large parts are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import ImageError
from aioecrpublic.push.budget import MIB

if TYPE_CHECKING:
    from aioecrpublic.push.budget import MemoryBudget

# https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
SMALLEST_PART = 5 * MIB
LARGEST_PART = 20 * MIB
MOST_PARTS = 1000
LARGEST_LAYER = 10_000 * MIB


def check_part_size(part_size: int | None, budget: MemoryBudget) -> None:
    """Refuse a part size that the service would refuse.

    Raises:
        ConfigurationError: It is not between 5 and 20 MiB, or the memory budget is smaller.
    """
    if part_size is not None and not SMALLEST_PART <= part_size <= LARGEST_PART:
        raise ConfigurationError(
            f"part_size is {part_size!r}, from {SMALLEST_PART} (5 MiB) to {LARGEST_PART} (20 MiB) bytes"
        )
    if budget.limit < max(SMALLEST_PART, part_size or 0):
        raise ConfigurationError(
            f"memory_budget is {budget.limit} bytes, at least one part ({part_size or SMALLEST_PART})"
        )


def check_layer_size(name: str, size: int) -> None:
    """Refuse a layer that the service cannot store; ``name`` is for the message.

    Raises:
        ImageError: It is empty, or larger than 10 000 MiB.
    """
    if size == 0:
        raise ImageError(f"{name} is empty; the service cannot store an empty layer")
    if size > LARGEST_LAYER:
        raise ImageError(f"{name} is {size} bytes, at most {LARGEST_LAYER} (10 000 MiB)")


def choose_part_size(asked: int | None, wanted: int | None, size: int, room: int = LARGEST_PART) -> int:
    """Bytes of a part: as wanted, or as the service asks within its limits, but never too many parts.

    Args:
        asked: What the service asks for, if it does.
        wanted: What the caller wants, if anything.
        size: Bytes of the layer.
        room: Bytes that there is memory for; no less than the smallest part.
    """
    chosen = wanted or min(max(asked or SMALLEST_PART, SMALLEST_PART), LARGEST_PART)
    if chosen * MOST_PARTS < size:
        least = -(-size // MOST_PARTS)
        chosen = min(-(-least // MIB) * MIB, LARGEST_PART)
    return max(SMALLEST_PART, min(chosen, room))
