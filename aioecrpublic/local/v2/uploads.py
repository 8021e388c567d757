"""Blobs on their way: distribution-spec, "Pushing blobs"."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Final

from aiohttp import web

from aioecrpublic.local.bodies import BodyTooLargeError, body_of
from aioecrpublic.local.holds import Holds
from aioecrpublic.local.operations.layers import add_layer, add_upload, keep_layer
from aioecrpublic.local.threads import run_to_its_end
from aioecrpublic.local.v2.errors import API_VERSION, V2Error, unknown_name, unknown_upload, wrong_digest
from aioecrpublic.local.v2.incoming import Incoming
from aioecrpublic.local.v2.routes import repository_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import TypeVar

    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.state import State
    from aioecrpublic.local.v2.access import Access
    from aioecrpublic.local.v2.routes import Route

    _T = TypeVar("_T")

_SLICE: Final = 1024 * 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_CONTENT_RANGE: Final = re.compile(r"(?:bytes )?([0-9]{1,18})-[0-9]{1,18}(?:/.*)?")


class Uploads:
    """Takes blobs.

    Args:
        state: The registry.
        threads: Where files are written.
        access: Who may.
    """

    def __init__(self, state: State, threads: Executor, access: Access) -> None:
        self._state = state
        self._threads = threads
        self._access = access
        # Not those of the API: they are held while a thread is waited for, those by threads that wait.
        self._holds = Holds()

    async def begin(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``POST``: an upload, or by ``mount`` a blob of another repository, or by ``digest`` all at once.

        Raises:
            V2Error: It may not be.
        """
        query = request.rel_url.query
        digest, mount = query.get("digest"), query.get("mount")
        if digest is not None:
            _check_digest(digest)
        if mount is not None and await self._run(
            self._mount, request, where, account, mount, repository_of(query.get("from", ""))
        ):
            return _stored(where, mount)
        upload_id = str(uuid.uuid4())
        await self._run(self._create, request, where, account, upload_id)
        if digest is None:
            return _under_way(where, upload_id, 0, 202)
        return await self._finish(request, where, account, upload_id, digest)

    async def status(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``GET``: how much has come.

        Raises:
            V2Error: There is no such upload.
        """
        received = await self._run(self._enter, request, where, account, where.what, "InitiateLayerUpload")
        return _under_way(where, where.what, received, 204)

    async def add(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``PATCH``: the next bytes.

        Raises:
            V2Error: They are not the next, or there is no such upload.
        """
        self._hold(where.what)
        try:
            received = await self._receive(request, where, account, where.what, "UploadLayerPart")
        finally:
            self._holds.release(where.what)
        return _under_way(where, where.what, received, 202)

    async def finish(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``PUT``: the last bytes, if any, and the digest.

        Raises:
            V2Error: The digest is another, or there is no such upload.
        """
        digest = request.rel_url.query.get("digest", "")
        _check_digest(digest)
        return await self._finish(request, where, account, where.what, digest)

    async def cancel(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``DELETE``: nothing more will come.

        Raises:
            V2Error: There is no such upload.
        """
        await self._run(self._state.disk.free, lambda: self._drop(request, where, account))
        return web.Response(status=204, headers=API_VERSION)

    async def _finish(
        self, request: web.BaseRequest, where: Route, account: str, upload_id: str, digest: str
    ) -> web.Response:
        self._hold(upload_id)
        try:
            size = await self._receive(request, where, account, upload_id, "CompleteLayerUpload")
            if not size:
                # As private ECR answers, and CompleteLayerUpload with its EmptyUploadException.
                raise V2Error(400, "BLOB_UPLOAD_INVALID", "the upload has no bytes")
            await self._run(self._keep, where.repository, upload_id, digest, size)
        finally:
            self._holds.release(upload_id)
        return _stored(where, digest)

    def _hold(self, upload_id: str) -> None:
        if not self._holds.try_hold(upload_id):
            raise V2Error(409, "BLOB_UPLOAD_INVALID", "another request is writing to this upload")

    async def _receive(
        self, request: web.BaseRequest, where: Route, account: str, upload_id: str, operation: str
    ) -> int:
        """Write a request's body behind what is there; how much there is then."""
        received = await self._run(self._enter, request, where, account, upload_id, operation)
        _check_range(request, received)
        most = self._state.settings.largest_layer - received
        if (request.content_length or 0) > most:
            raise BodyTooLargeError
        if not request.can_read_body:
            return received
        incoming = Incoming(self._state, upload_id, received)
        try:
            return await self._write(request, incoming, most)
        finally:
            await self._run(incoming.close)

    async def _write(self, request: web.BaseRequest, incoming: Incoming, most: int) -> int:
        pending = bytearray()
        async for piece in body_of(request, self._state.settings.idle_timeout):
            most -= len(piece)
            if most < 0:
                raise BodyTooLargeError
            pending += piece
            if len(pending) >= _SLICE:
                await self._run(incoming.write, pending)
                pending = bytearray()
        return await self._run(incoming.settle, pending)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await run_to_its_end(self._threads, work, *arguments)

    def _check_may(
        self, cursor: Cursor, request: web.BaseRequest, where: Route, account: str, operation: str
    ) -> None:
        if cursor.row("SELECT 1 FROM repository WHERE name = ?", where.repository) is None:
            raise unknown_name(where.repository)
        self._access.check_may(request, cursor, account, operation, where.repository)

    def _create(self, request: web.BaseRequest, where: Route, account: str, upload_id: str) -> None:
        with self._state.database.transaction() as cursor:
            self._check_may(cursor, request, where, account, "InitiateLayerUpload")
            add_upload(self._state, cursor, where.repository, upload_id, "v2")

    def _mount(
        self, request: web.BaseRequest, where: Route, account: str, digest: str, source: str | None
    ) -> bool:
        with self._state.database.transaction() as cursor:
            self._check_may(cursor, request, where, account, "InitiateLayerUpload")
            size = cursor.value("SELECT size FROM layer WHERE repository = ? AND digest = ?", source, digest)
            if size is not None:
                add_layer(self._state, cursor, where.repository, digest, size)
        return size is not None

    def _enter(
        self, request: web.BaseRequest, where: Route, account: str, upload_id: str, operation: str
    ) -> int:
        """How much of an upload is there, for who may write to it."""
        with self._state.database.transaction() as cursor:
            self._check_may(cursor, request, where, account, operation)
            return self._find(cursor, where.repository, upload_id)

    def _find(self, cursor: Cursor, repository: str, upload_id: str) -> int:
        row = cursor.row(
            "SELECT received FROM upload WHERE id = ? AND repository = ? AND side = 'v2' AND touched_at >= ?",
            upload_id,
            repository,
            self._state.forgotten_before(),
        )
        if row is None:
            raise unknown_upload()
        received: int = row["received"]
        return received

    def _keep(self, repository: str, upload_id: str, digest: str, size: int) -> None:
        try:
            found = self._state.blobs.digest(upload_id, size)
        except FileNotFoundError:
            raise unknown_upload() from None
        if found != digest:
            raise wrong_digest()
        with self._state.database.transaction() as cursor:
            self._find(cursor, repository, upload_id)
            keep_layer(self._state, cursor, repository, upload_id, digest, size)
        self._state.blobs.drop_upload(upload_id)

    def _drop(self, request: web.BaseRequest, where: Route, account: str) -> None:
        with self._state.database.transaction() as cursor:
            self._check_may(cursor, request, where, account, "UploadLayerPart")
            self._find(cursor, where.repository, where.what)
            cursor.run("DELETE FROM upload WHERE id = ?", where.what)
        self._state.blobs.drop_upload(where.what)


def _check_digest(digest: str) -> None:
    if _DIGEST.fullmatch(digest) is None:
        raise V2Error(400, "DIGEST_INVALID", "a sha256 digest is required")


def _check_range(request: web.BaseRequest, received: int) -> None:
    """A chunk says where it begins; without that it is taken as the next one."""
    value = request.headers.get("Content-Range")
    match = None if value is None else _CONTENT_RANGE.fullmatch(value.strip())
    if value is not None and (match is None or int(match[1]) != received):
        message = f"the next byte to be sent is {received}"
        raise V2Error(416, "BLOB_UPLOAD_INVALID", message, {"Range": _range(received)})


def _range(received: int) -> str:
    return f"0-{max(received - 1, 0)}"


def _under_way(where: Route, upload_id: str, received: int, status: int) -> web.Response:
    headers = {
        **API_VERSION,
        "Location": f"{where.path}/blobs/uploads/{upload_id}",
        "Range": _range(received),
        "Docker-Upload-UUID": upload_id,
    }
    return web.Response(status=status, headers=headers)


def _stored(where: Route, digest: str) -> web.Response:
    headers = {**API_VERSION, "Location": f"{where.path}/blobs/{digest}", "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)
