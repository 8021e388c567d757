"""Whose turn it is, and telling so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")


def in_turn(contestants: Sequence[_T], number: int) -> Sequence[_T]:
    """Everybody once, another one first in every round."""
    start = number % len(contestants)
    return [*contestants[start:], *contestants[:start]]


def say(text: str, *, progress: bool = False) -> None:
    """To the output; progress to a terminal only, over itself."""
    if not progress:
        sys.stdout.write(text + "\n")
    elif sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
