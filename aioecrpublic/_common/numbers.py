"""Numbers that arguments have to be."""

from __future__ import annotations

import sys
from typing import TypeGuard


def check_count(name: str, value: object) -> int:
    """Return a whole number that is at least 1.

    Raises:
        ValueError: It is something else; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1 (got {shown_number(value)})")
    return min(value, sys.maxsize)


def check_positive(name: str, value: object) -> float:
    """Return a number above 0, such as seconds.

    Raises:
        ValueError: It is something else; the message names it.
    """
    if is_number(value) and 0 < value < sys.float_info.max:
        return float(value)
    raise ValueError(f"{name} must be a number above 0 (got {shown_number(value)})")


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a value is a number, which a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown_number(value: object) -> str:
    """Return a value as a message shows it."""
    try:
        return repr(value)
    except ValueError:
        # Python does not write out numbers of thousands of digits.
        return "a very long number"
