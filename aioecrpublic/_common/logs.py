"""The package's loggers, whose records are as harmless as its errors."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

from aioecrpublic._common.text import printable, printable_lines


def get_logger(name: str) -> logging.Logger:
    """Return the logger called ``name``; what others have put into its records is made harmless."""
    logger = logging.getLogger(name)
    logger.addFilter(_make_harmless)
    return logger


def _make_harmless(record: logging.LogRecord) -> bool:
    """Make the text of a record harmless; keep the record."""
    arguments = record.args
    if isinstance(arguments, Mapping):
        record.args = {name: _harmless(value) for name, value in arguments.items()}
    elif arguments:
        record.args = tuple(_harmless(value) for value in arguments)
    else:
        record.msg = printable(str(record.msg))
    if record.exc_info and record.exc_info[1] is not None:
        # Formatters take what is here already.
        record.exc_text = printable_lines("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    return True


def _harmless(value: object) -> object:
    return value if isinstance(value, int | float) else printable(str(value))
