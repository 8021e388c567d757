"""How values that must not or need not be seen look in a ``repr``."""

from __future__ import annotations

from collections.abc import Sized


def show_secret(value: object) -> str:
    """A secret's ``repr``: whether there is one, and nothing else."""
    return "None" if value is None else "'***'"


def show_blob(value: object) -> str:
    """A blob's ``repr``: its size in bytes."""
    return f"<{len(value)} bytes>" if isinstance(value, Sized) else repr(value)
