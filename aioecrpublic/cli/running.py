"""From a command to a coroutine and back: one line for an error, the exit status, Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic.cli.output import write_error

if TYPE_CHECKING:
    from collections.abc import Coroutine

FAILED = 1
MISUSED = 2
INCOMPLETE = 3
INTERRUPTED = 130


class UsageError(ECRPublicError):
    """A command that was called wrongly."""


class IncompleteError(ECRPublicError):
    """A command that has done its main work, and not all of the rest."""


def run_command(coroutine: Coroutine[Any, Any, None], *, interrupted: str = "") -> None:
    """Run ``coroutine``; exit with one line on stderr and the status of the error if it fails.

    Args:
        coroutine: What the command does.
        interrupted: What to say on Ctrl-C, such as how to go on.
    """
    try:
        asyncio.run(coroutine)
    except KeyboardInterrupt:
        write_error(f"interrupted{': ' if interrupted else ''}{interrupted}")
        raise SystemExit(INTERRUPTED) from None
    except (ECRPublicError, OSError) as error:
        write_error(str(error) or type(error).__name__)
        raise SystemExit(_status(error)) from None


def _status(error: Exception) -> int:
    match error:
        case UsageError():
            return MISUSED
        case IncompleteError():
            return INCOMPLETE
        case _:
            return FAILED
