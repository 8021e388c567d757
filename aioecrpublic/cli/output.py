"""What commands write: harmless on any terminal, in any encoding, whoever has chosen the text."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

import click

from aioecrpublic._common.streams import tolerate_any_text
from aioecrpublic._common.text import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console

_DELETE = "\x7f"
# What a call without arguments gets, since click 8.2.
_HELP: type[click.ClickException] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())


class _OneLine(logging.Formatter):
    """Log records as errors are written, tracebacks below them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(f"aioecrpublic: {super().format(record)}")


def prepare_streams() -> None:
    """Make standard output and error fit for any text, and for what is logged and warned of."""
    tolerate_any_text()
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.captureWarnings(capture=True)


def write_line(line: str) -> None:
    """Write a line to standard output, at once."""
    _write(sys.stdout, printable(line))


def write_error(line: str) -> None:
    """Write a line to standard error, after the program's name."""
    _write(sys.stderr, f"aioecrpublic: {printable(line)}")


def write_traceback(error: BaseException) -> None:
    """Write to standard error where an error came from that nobody has foreseen."""
    _write(sys.stderr, printable_lines("".join(traceback.format_exception(error)).rstrip()))


def write_usage_error(error: click.ClickException) -> None:
    """Write to standard error what click says of a call; it repeats what was typed."""
    message = error.format_message()
    if isinstance(error, _HELP):
        _write(sys.stderr, message)
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    write_error(message if context is None else f"{message} Try '{context.command_path} --help'.")


def write_json(document: dict[str, Any]) -> None:
    """Write a result to standard output as a line of JSON, in ASCII and without any control character."""
    _write(sys.stdout, json.dumps(document).replace(_DELETE, "\\u007f"))


def print_line(console: Console, line: str, style: str = "") -> None:
    """Write a line to a console, neither broken nor taken for markup or the name of an emoji."""
    from rich.text import Text  # not every command needs it

    console.print(Text(printable(line), style), soft_wrap=True)


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
