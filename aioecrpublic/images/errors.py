"""What is raised when an image cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic._common.errors import ECRPublicError

if TYPE_CHECKING:
    from collections.abc import Collection

_SHOWN = 120
_LISTED = 20


class ImageError(ECRPublicError):
    """An image source is missing, malformed, incomplete or lies about itself.

    The message is one line that names the source, the file, entry or digest, and what is wrong with it.
    """


class ArgumentError(ImageError, ValueError):
    """An argument of an image source that cannot be used; the message names it."""


def shown(value: object) -> str:
    """Return text from an untrusted image as it may appear in a message: escaped, in quotes, not too long."""
    text = repr(value) if not isinstance(value, str) else repr(value[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def listed(names: Collection[str]) -> str:
    """Return names from an untrusted image as a message lists them: escaped, not too long or too many."""
    first = ", ".join(shown(name)[1:-1] for name in list(names)[:_LISTED])
    return f"{first} and {len(names) - _LISTED} more" if len(names) > _LISTED else first
