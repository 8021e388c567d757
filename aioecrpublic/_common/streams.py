"""The standard streams of a program, which take any text there is."""

from __future__ import annotations

import io
import sys


def tolerate_any_text() -> None:
    """Let standard input, output and error stand what their encoding has no characters for.

    Python refuses to write it to standard output, where an ASCII terminal is to show a name in another
    script, and anywhere if a file's name is no text at all. It is escaped instead.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
