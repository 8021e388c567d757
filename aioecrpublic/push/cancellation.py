"""Cancellations that nobody asked for: a callback or a hook has waited for something that was cancelled."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

from aioecrpublic.push.errors import PushError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

_P = ParamSpec("_P")


@contextmanager
def stray_cancellation_is_an_error() -> Generator[None]:
    """Raise a ``PushError`` instead of a ``CancelledError`` if the running task is not being cancelled.

    A task group takes a cancelled task for one that is done, and what waits for its work would wait for ever.

    Raises:
        PushError: What a callback or a hook waits for was cancelled.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise PushError("what a callback or a hook waits for was cancelled") from error


async def run_whole(
    part: Callable[_P, Coroutine[Any, Any, None]], *args: _P.args, **kwargs: _P.kwargs
) -> None:
    """Run a part of a push as a task of its own: it ends, fails, or is cancelled with the push."""
    with stray_cancellation_is_an_error():
        await part(*args, **kwargs)
