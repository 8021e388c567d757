"""What is raised when an image cannot be read."""

from __future__ import annotations

from aioecrpublic._base import ECRPublicError

_SHOWN = 120


class ImageError(ECRPublicError):
    """An image source is missing, malformed, incomplete or lies about itself.

    The message is one line that names the source, the file, entry or digest, and what is wrong with it.
    """


def shown(value: object) -> str:
    """Return text from an untrusted image as it may appear in a message: escaped, in quotes, not too long."""
    text = repr(value) if not isinstance(value, str) else repr(value[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
