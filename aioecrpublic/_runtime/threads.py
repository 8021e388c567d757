"""Work in worker threads, with a clear error where the threads are gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aioecrpublic._runtime.errors import ClientStateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_P = ParamSpec("_P")
_T = TypeVar("_T")


def in_thread(
    executor: Executor, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> asyncio.Future[_T]:
    """Start ``function`` in a worker thread; the future is its result.

    Raises:
        ClientStateError: The client that the threads belong to is closed.
    """
    loop = asyncio.get_running_loop()
    try:
        return asyncio.wrap_future(executor.submit(function, *args, **kwargs), loop=loop)
    except RuntimeError as error:
        raise ClientStateError("the client was closed during the call") from error
