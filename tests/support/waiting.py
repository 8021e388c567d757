"""Waiting for what another thread or process does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE = 0.05


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Look again and again until ``condition`` holds; ``TimeoutError`` if it takes too long."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells an event of ours
            await asyncio.sleep(_PAUSE)


def until_blocking(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """The same where no event loop runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_PAUSE)
