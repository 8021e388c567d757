"""Threads for work that may never end; they do not keep the process from exiting."""

from __future__ import annotations

import functools
import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class DaemonThreads(Executor):
    """An executor for work that waits for something else: resolvers, credential providers, file systems.

    The interpreter joins the threads of a ``ThreadPoolExecutor`` before it exits, so a thread that hangs
    keeps the process alive. These are daemon threads, and a caller limits its wait for them itself. A thread
    ends when no work is left.

    Args:
        max_workers: How many threads may run at once; further work waits for its turn.
        name: What the threads are called.
    """

    def __init__(self, max_workers: int, name: str) -> None:
        self._max_workers = max_workers
        self._name = name
        self._lock = threading.Lock()
        self._pending: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running = 0
        self._shut_down = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Start ``fn`` in a thread, or as soon as one is free.

        Raises:
            RuntimeError: It was shut down, or the system gives no more threads.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._shut_down:
                raise RuntimeError("the threads were shut down")
            if self._running < self._max_workers:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._running += 1
            self._pending.append((future, functools.partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 - Executor's signature
        """Take no more work, and cancel what has not begun if told so; running work is never waited for."""
        with self._lock:
            self._shut_down = True
            dropped = list(self._pending) if cancel_futures else []
            if cancel_futures:
                self._pending.clear()
        for future, _ in dropped:
            future.cancel()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            future, function = work
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
                    future.set_exception(error)
                else:
                    future.set_result(result)
            # Keep nothing alive while waiting for more.
            del work, future, function

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            if self._pending:
                return self._pending.popleft()
            self._running -= 1
            return None
