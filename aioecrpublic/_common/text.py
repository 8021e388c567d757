"""Text from elsewhere, made harmless for terminals and logs."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE: Final = 4000
"""Characters of a message that are shown."""

_WHITESPACE: Final = frozenset("\t\n\v\f\r")


def printable(text: str, limit: int = MAX_MESSAGE) -> str:
    r"""Return ``text`` as it may be written to a terminal or a log.

    A line break or tab becomes one space. Every other character that is not printable (``str.isprintable``:
    control characters, bidirectional overrides, zero-width characters, lone surrogates) is written as an
    escape such as ``\x1b``, so the text can neither move the cursor nor forge a second line.

    Args:
        text: Any text; a registry, a service, a file name or an image may have chosen it.
        limit: Characters to keep. An ellipsis stands for the rest.
    """
    if len(text) > limit:
        text = f"{text[:limit]}…"
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def printable_lines(text: str) -> str:
    """Return text of several lines, such as a traceback, with each of them made printable."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    if character in _WHITESPACE:
        return " "
    return character if character.isprintable() else ascii(character)[1:-1]
