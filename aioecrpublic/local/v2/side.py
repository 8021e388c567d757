"""Requests of the registry API, sorted to what answers them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic.local.bodies import BodyBrokenError, BodyTimeoutError, BodyTooLargeError
from aioecrpublic.local.connections import trust
from aioecrpublic.local.disk import NO_SPACE, is_no_space
from aioecrpublic.local.logs import log, log_failure
from aioecrpublic.local.threads import run_to_its_end
from aioecrpublic.local.v2.access import ANYBODY, Access
from aioecrpublic.local.v2.blobs import Blobs
from aioecrpublic.local.v2.errors import API_VERSION, V2Error, unsupported
from aioecrpublic.local.v2.manifests import Manifests
from aioecrpublic.local.v2.routes import route
from aioecrpublic.local.v2.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from typing import TypeAlias

    from aioecrpublic.local.bodies import BodyMemory
    from aioecrpublic.local.state import State
    from aioecrpublic.local.v2.routes import Route

    Handler: TypeAlias = Callable[[web.BaseRequest, Route, str], Awaitable[web.StreamResponse]]

_TAKING_ROOM: Final = frozenset({"PATCH", "POST", "PUT"})
TOKENS: Final = frozenset({"/token/", "/token"})


class V2Side:
    """Answers requests of the registry API.

    Args:
        state: The registry.
        bodies: The memory for bodies.
        threads: Where the work is done that would hold up the loop.
    """

    def __init__(self, state: State, bodies: BodyMemory, threads: Executor) -> None:
        self._disk = state.disk
        self._threads = threads
        self._access = Access(state)
        manifests = Manifests(state, bodies, threads, self._access)
        blobs = Blobs(state, threads)
        uploads = Uploads(state, threads, self._access)
        self._handlers: dict[tuple[str, str], Handler] = {
            ("manifest", "GET"): manifests.get,
            ("manifest", "HEAD"): manifests.get,
            ("manifest", "PUT"): manifests.put,
            ("tags", "GET"): manifests.tags,
            ("referrers", "GET"): manifests.referrers,
            ("blob", "GET"): blobs.get,
            ("blob", "HEAD"): blobs.get,
            ("uploads", "POST"): uploads.begin,
            ("upload", "GET"): uploads.status,
            ("upload", "PATCH"): uploads.add,
            ("upload", "PUT"): uploads.finish,
            ("upload", "DELETE"): uploads.cancel,
        }

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is one of this side."""
        return path in TOKENS or path == "/v2" or path.startswith("/v2/")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The reply to a request."""
        try:
            return await self._answer(request)
        except V2Error as error:
            refused = error
        except BodyTooLargeError:
            refused = V2Error(413, "SIZE_INVALID", "the body is too large")
        except BodyTimeoutError:
            refused = V2Error(408, "BLOB_UPLOAD_INVALID", "the body took too long")
        except BodyBrokenError:
            refused = V2Error(400, "BLOB_UPLOAD_INVALID", "the body cannot be read")
        except (ConnectionError, web.PayloadAccessError):
            raise
        except Exception as error:  # noqa: BLE001 - a server answers its own faults too
            if is_no_space(error):
                log.warning("%s failed: %s", request.method, NO_SPACE)
                refused = V2Error(507, "UNKNOWN", NO_SPACE)
            else:
                log_failure(f"{request.method} {request.path} failed", error)
                refused = V2Error(500, "UNKNOWN", "internal failure")
        response = refused.response()
        if not request.content.at_eof():
            # The rest of the body is not worth the wait.
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.path
        if path in TOKENS:
            if request.method != "GET":
                raise unsupported()
            return self._access.token(request)
        account = self._access.account(request)
        if account != ANYBODY:
            trust(request)
        if path in {"/v2", "/v2/"}:
            return web.Response(
                body=json.dumps({}).encode(), content_type="application/json", headers=API_VERSION
            )
        where = route(path)
        if where is None:
            raise V2Error(404, "NAME_UNKNOWN", "There is no such repository in the registry")
        handler = self._handlers.get((where.kind, request.method))
        if handler is None:
            raise unsupported()
        if request.method in _TAKING_ROOM and not self._disk.has_room:
            await run_to_its_end(self._threads, self._disk.require_room)
        return await handler(request, where, account)
