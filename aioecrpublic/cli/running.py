"""From a command to a coroutine and back: one line for an error, the exit status, Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from aioecrpublic._common.errors import ECRPublicError

if TYPE_CHECKING:
    from collections.abc import Coroutine

FAILED = 1
INTERRUPTED = 130


def run_command(coroutine: Coroutine[Any, Any, None], *, interrupted: str = "") -> None:
    """Run ``coroutine``; exit with 1 and one line on stderr if it fails, with 130 on Ctrl-C.

    Args:
        coroutine: What the command does.
        interrupted: What to say on Ctrl-C, such as how to go on.
    """
    try:
        asyncio.run(coroutine)
    except KeyboardInterrupt:
        _say(f"interrupted{': ' if interrupted else ''}{interrupted}")
        raise SystemExit(INTERRUPTED) from None
    except (ECRPublicError, OSError) as error:
        _say(" ".join(str(error).split()) or type(error).__name__)
        raise SystemExit(FAILED) from None


def _say(line: str) -> None:
    sys.stderr.write(f"aioecrpublic: {line}\n")
