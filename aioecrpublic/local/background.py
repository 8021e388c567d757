"""A local registry in a thread of its own, for code that does not await."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from aioecrpublic._runtime.errors import ClientStateError

if TYPE_CHECKING:
    from aioecrpublic.local.server import LocalECRPublic


class BackgroundECRPublic:
    """Runs a registry in a thread, as a context manager; its URLs can be used from any thread.

    Args:
        registry: The registry, not yet opened. It is opened and closed by the thread.

    Raises:
        ConfigurationError: As the registry itself does.
    """

    def __init__(self, registry: LocalECRPublic) -> None:
        self.registry = registry
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise ClientStateError("the registry was started already; make a new one")
        self._thread = threading.Thread(target=self._run, name="aioecrpublic-local", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
            self._error = error
        finally:
            self._opened.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.registry:
            self._opened.set()
            await self._stop.wait()
