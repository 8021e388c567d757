"""The registry on an event loop of its own, for what blocks: boto3, programs, tests without coroutines."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aioecrpublic.local.server import LocalECRPublic


@contextmanager
def serve_in_thread(server: LocalECRPublic) -> Generator[LocalECRPublic, None, None]:
    """Run a registry in a thread beside this one until the block ends.

    ::

        with serve_in_thread(LocalECRPublic()) as server:
            client = boto3.client("ecr-public", "us-east-1", endpoint_url=server.endpoint_url, ...)

    Its coroutine methods may be awaited on any event loop meanwhile.

    Args:
        server: The registry, not yet running.

    Raises:
        ConfigurationError: The registry cannot start; nothing runs then.
        ClientStateError: It is running already.
    """
    started: Future[Callable[[], object]] = Future()
    thread = threading.Thread(
        target=_run, args=(server, started), name="aioecrpublic-local-loop", daemon=True
    )
    thread.start()
    try:
        stop = started.result()
        try:
            yield server
        finally:
            stop()
    finally:
        thread.join()


def _run(server: LocalECRPublic, started: Future[Callable[[], object]]) -> None:
    async def serve() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with server:
            started.set_result(lambda: loop.call_soon_threadsafe(ended.set))
            await ended.wait()

    try:
        asyncio.run(serve())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
