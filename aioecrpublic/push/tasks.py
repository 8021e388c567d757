"""The tasks of a push: each runs whole, and of the errors of several one is the push's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

from aioecrpublic.push.errors import PushError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

_P = ParamSpec("_P")


class StrayCancellationError(PushError):
    """A callback or a hook has waited for something that was cancelled, and the push was not."""

    def __init__(self) -> None:
        super().__init__("what a callback or a hook waits for was cancelled")


async def run_whole(
    part: Callable[_P, Coroutine[Any, Any, None]], *args: _P.args, **kwargs: _P.kwargs
) -> None:
    """Run a part of a push as a task of its own.

    A task group takes a cancelled task for one that is done, and what waits for its work would wait for ever.

    Raises:
        StrayCancellationError: It is cancelled, and not by the push.
    """
    async with single_error():
        await part(*args, **kwargs)


@asynccontextmanager
async def single_error() -> AsyncGenerator[None]:
    """Raise the first of the errors that a task group collected, as itself: the others followed from it.

    Raises:
        StrayCancellationError: A ``CancelledError`` came from within, and the running task is not cancelled.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        error = _first(group)
        raise error from error.__cause__
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise StrayCancellationError from error


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
