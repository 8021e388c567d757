"""The API on its socket: bodies are read within limits of size, time and number, replies sent."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.local.listening import BodyTimeoutError, BodyTooLargeError, read_body

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from multidict import CIMultiDictProxy

    from aioecrpublic.local.api import Api, ApiCall, ApiReply
    from aioecrpublic.local.state import Settings

_LARGE: Final = 1024 * 1024
# Each takes as much memory as its body and its part together, and its thread keeps that for the next.
LARGE_AT_ONCE: Final = 4


class ApiSide:
    """Answers requests of the API.

    Args:
        api: The operations.
        settings: How long to wait for bodies.
        clock: The registry's, by which clients whose own is off set it right.
        threads: Where the operations run.
        large: Where those with large bodies run.
    """

    def __init__(
        self,
        api: Api,
        settings: Settings,
        clock: Callable[[], dt.datetime],
        threads: Executor,
        large: Executor,
    ) -> None:
        self._api = api
        self._clock = clock
        self._settings = settings
        self._threads = threads
        self._large_threads = large
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The reply to a request."""
        try:
            return self._response(await self._answer(request))
        except BodyTooLargeError:
            error = ServiceError(
                "The request is too large", code="RequestEntityTooLargeException", status=413
            )
        except BodyTimeoutError:
            error = ServiceError("The request took too long", code="RequestTimeoutException", status=408)
        except ServiceError as refused:
            error = refused
        response = self.refuse(error)
        if not request.content.at_eof():
            # The rest of the body is not worth the wait.
            response.force_close()
        return response

    def refuse(self, error: ServiceError) -> web.Response:
        """The reply that says an error."""
        return self._response(self._api.refuse(error))

    async def _answer(self, request: web.BaseRequest) -> ApiReply:
        if request.method != "POST" or request.rel_url.raw_path != "/":
            raise ServiceError("", code="UnknownOperationException", status=404)
        call = self._api.accept(request.raw_path, _joined(request.headers))
        size = request.content_length
        if size is not None and size <= _LARGE:
            return await self._run(self._threads, request, call)
        async with self._large:
            return await self._run(self._large_threads, request, call)

    def _response(self, reply: ApiReply) -> web.Response:
        date = format_datetime(self._clock(), usegmt=True)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers | {"Date": date})

    async def _run(self, threads: Executor, request: web.BaseRequest, call: ApiCall) -> ApiReply:
        body = await read_body(request, call.largest_body, self._settings.idle_timeout)
        return await asyncio.get_running_loop().run_in_executor(threads, self._api.answer, call, body)


def _joined(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """Headers by their names in lower case; what is there more than once is a list, as it is when signed."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined
