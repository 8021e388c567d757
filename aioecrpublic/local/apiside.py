"""The API on its socket: bodies are read within limits of size, time and number, replies sent."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.local.bodies import BodyBrokenError, BodyTimeoutError, BodyTooLargeError
from aioecrpublic.local.connections import trust

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from multidict import CIMultiDictProxy

    from aioecrpublic.local.api import Api, ApiReply
    from aioecrpublic.local.bodies import BodyMemory

# What is this small is there before its signature could have been verified without it.
_SMALL: Final = 64 * 1024
_LARGE: Final = 1024 * 1024
# Each takes as much memory as its part, and its thread keeps that for the next.
LARGE_AT_ONCE: Final = 4


class ApiSide:
    """Answers requests of the API.

    Args:
        api: The operations.
        bodies: The memory for bodies.
        clock: The registry's, by which clients whose own is off set it right.
        threads: Where the operations run.
        large: Where those with large bodies run.
    """

    def __init__(
        self,
        api: Api,
        bodies: BodyMemory,
        clock: Callable[[], dt.datetime],
        threads: Executor,
        large: Executor,
    ) -> None:
        self._api = api
        self._clock = clock
        self._threads = threads
        self._large_threads = large
        self._bodies = bodies

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
        except BodyBrokenError:
            error = ServiceError("The request's body cannot be read", code="SerializationException")
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
        loop = asyncio.get_running_loop()
        if request.content_length is None or request.content_length > _SMALL:
            await loop.run_in_executor(self._threads, self._api.verify_early, call)
        async with self._bodies.read(request, call.largest_body) as body:
            threads = self._threads if len(body) <= _LARGE else self._large_threads
            reply = await loop.run_in_executor(threads, self._api.answer, call, body)
        if call.is_verified:
            trust(request)
        return reply

    def _response(self, reply: ApiReply) -> web.Response:
        date = format_datetime(self._clock(), usegmt=True)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers | {"Date": date})


def _joined(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """Headers by their names in lower case; what is there more than once is a list, as it is when signed."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined
