"""The troubles of a network and a busy service, between the socket and what answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic._runtime.errors import ConfigurationError, ServiceError
from aioecrpublic.local.connections import hang_up
from aioecrpublic.local.faults import FaultKind
from aioecrpublic.local.v2.errors import V2Error
from aioecrpublic.local.v2.routes import route
from aioecrpublic.local.v2.side import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.local.faults import Fault, FaultSchedule
    from aioecrpublic.local.listening import Handler

_V2: Final = "v2."


class Trouble:
    """Lets requests wait, fail and get lost, as a schedule says.

    Args:
        schedule: What happens to which.
        latency: Seconds that every request waits before anything is done.

    Raises:
        ConfigurationError: The latency is negative.
    """

    def __init__(self, schedule: FaultSchedule, latency: float) -> None:
        if latency < 0:
            raise ConfigurationError(f"latency is {latency}, less than 0")
        self._schedule = schedule
        self._latency = latency

    def around(self, answer: Handler, refuse: Callable[[ServiceError], web.Response]) -> Handler:
        """``answer`` with its troubles; ``refuse`` makes the API's reply of an error."""

        async def troubled(request: web.BaseRequest) -> web.StreamResponse:
            if self._latency:
                await asyncio.sleep(self._latency)
            name = _name_of(request)
            fault = self._schedule.strike(name)
            if fault is None:
                return await answer(request)
            if fault.kind is FaultKind.ERROR:
                return _error(name, fault, refuse)
            if fault.kind is FaultKind.RESET:
                return hang_up(request)
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.delay)
                return await answer(request)
            response = await answer(request)
            return await _cut(request, response) if fault.kind is FaultKind.CUT else hang_up(request)

        return troubled


def _name_of(request: web.BaseRequest) -> str:
    """What a schedule calls a request."""
    path = request.rel_url.path
    if path in TOKENS:
        return f"{_V2}token"
    if path == "/v2" or path.startswith("/v2/"):
        where = route(path)
        return f"{_V2}{where.kind if where else 'base'}"
    return request.headers.get("X-Amz-Target", "").rpartition(".")[2]


def _error(name: str, fault: Fault, refuse: Callable[[ServiceError], web.Response]) -> web.Response:
    if name.startswith(_V2):
        response = V2Error(fault.status, fault.code, fault.message).response()
    else:
        response = refuse(ServiceError(fault.message, code=fault.code, status=fault.status))
    # The body was not read.
    response.force_close()
    return response


async def _cut(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) else None
    if response.prepared or not isinstance(body, bytes) or len(body) <= 1:
        return hang_up(request)
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
