"""Manifests, tags and referrers: distribution-spec, "Pulling", "Pushing", "Content Discovery"."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web

from aioecrpublic._common.oci import OCI_INDEX
from aioecrpublic._generated.errors import (
    InvalidParameterException,
    LayersNotFoundException,
    LimitExceededException,
    ReferencedImagesNotFoundException,
)
from aioecrpublic.local.manifests import inspect
from aioecrpublic.local.operations.images import digest_of, store
from aioecrpublic.local.v2.errors import API_VERSION, V2Error, unknown_name, wrong_digest
from aioecrpublic.local.v2.routes import is_digest

if TYPE_CHECKING:
    import sqlite3
    from concurrent.futures import Executor

    from aioecrpublic.local.bodies import BodyMemory
    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.manifests import ManifestFacts
    from aioecrpublic.local.state import State
    from aioecrpublic.local.v2.access import Access
    from aioecrpublic.local.v2.routes import Route

LARGEST_MANIFEST: Final = 4_194_304
_MOST_TAGS: Final = 1000


class Manifests:
    """Gives and takes manifests.

    Args:
        state: The registry.
        bodies: The memory for bodies.
        threads: Where the database is asked.
        access: Who may put.
    """

    def __init__(self, state: State, bodies: BodyMemory, threads: Executor, access: Access) -> None:
        self._state = state
        self._bodies = bodies
        self._threads = threads
        self._access = access

    async def get(self, request: web.BaseRequest, where: Route, _: str) -> web.Response:
        """``GET`` and ``HEAD`` of a manifest, by tag or digest.

        Raises:
            V2Error: It is not there, or not in a media type that the request accepts.
        """
        image = await self._run(self._find, where)
        if not _accepts(request.headers.getall("Accept", []), image["media_type"]):
            raise V2Error(
                404, "MANIFEST_UNKNOWN", f"the manifest is {image['media_type']}, which was not asked for"
            )
        etag = f'"{image["digest"]}"'
        headers = {
            **API_VERSION,
            "Content-Type": image["media_type"],
            "Docker-Content-Digest": image["digest"],
            "ETag": etag,
        }
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={**API_VERSION, "ETag": etag})
        return web.Response(body=image["manifest"].encode(), headers=headers)

    async def put(self, request: web.BaseRequest, where: Route, account: str) -> web.Response:
        """``PUT`` of a manifest, under a tag or its digest.

        Raises:
            V2Error: It is not a manifest, or what it refers to is not there.
        """
        await self._run(self._check, request, where, account)
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip() or None
        async with self._bodies.read(request, LARGEST_MANIFEST) as body:
            digest, facts = await self._run(self._put, where, bytes(body), media_type)
        headers = {
            **API_VERSION,
            "Location": f"{where.path}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        if facts.subject is not None:
            headers["OCI-Subject"] = facts.subject
        return web.Response(status=201, headers=headers)

    async def tags(self, request: web.BaseRequest, where: Route, _: str) -> web.Response:
        """``GET`` of the tags, in pages of ``n`` after ``last``.

        Raises:
            V2Error: There is no such repository.
        """
        query = request.rel_url.query
        limit = _count(query.get("n"))
        names = await self._run(self._tags, where.repository, query.get("last", ""), limit + 1)
        name = where.path.removeprefix("/v2/")
        headers = dict(API_VERSION)
        if len(names) > limit:
            names = names[:limit]
            if names:
                following = urlencode({"last": names[-1], "n": limit})
                headers["Link"] = f'<{where.path}/tags/list?{following}>; rel="next"'
        body = json.dumps({"name": name, "tags": names}, separators=(",", ":")).encode() + b"\n"
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def referrers(self, request: web.BaseRequest, where: Route, _: str) -> web.Response:
        """``GET`` of the manifests whose subject is a digest.

        Raises:
            V2Error: There is no such repository.
        """
        wanted = request.rel_url.query.get("artifactType")
        found = await self._run(self._referrers, where.repository, where.what)
        headers = {**API_VERSION, "Content-Type": OCI_INDEX}
        if wanted is not None:
            found = [item for item in found if item.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return web.Response(body=json.dumps(index).encode(), headers=headers)

    async def _run(self, work: Any, *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _check(self, request: web.BaseRequest, where: Route, account: str) -> None:
        with self._state.database.transaction() as cursor:
            _check_repository(cursor, where.repository)
            self._access.check_may(request, cursor, account, "PutImage", where.repository)

    def _find(self, where: Route) -> sqlite3.Row:
        name = where.repository
        with self._state.database.transaction() as cursor:
            _check_repository(cursor, name)
            digest = where.what
            if not is_digest(digest):
                digest = cursor.value(
                    "SELECT digest FROM tag WHERE repository = ? AND name = ?", name, where.what
                )
            row = cursor.row("SELECT * FROM image WHERE repository = ? AND digest = ?", name, digest)
        if row is None:
            raise V2Error(404, "MANIFEST_UNKNOWN", "Requested image not found")
        return row

    def _put(self, where: Route, body: bytes, media_type: str | None) -> tuple[str, ManifestFacts]:
        try:
            manifest = body.decode()
            facts = inspect(manifest, media_type)
        except UnicodeDecodeError:
            raise V2Error(400, "MANIFEST_INVALID", "the manifest is not UTF-8") from None
        except InvalidParameterException as error:
            raise V2Error(400, "MANIFEST_INVALID", error.message) from error
        digest = digest_of(manifest)
        tag = None if is_digest(where.what) else where.what
        if tag is None and where.what != digest:
            raise wrong_digest()
        try:
            with self._state.database.transaction() as cursor:
                _check_repository(cursor, where.repository)
                store(self._state, cursor, where.repository, manifest, facts, tag)
        except (LayersNotFoundException, ReferencedImagesNotFoundException) as error:
            raise V2Error(400, "MANIFEST_BLOB_UNKNOWN", error.message) from error
        except LimitExceededException as error:
            raise V2Error(429, "TOOMANYREQUESTS", error.message) from error
        return digest, facts

    def _tags(self, name: str, last: str, limit: int) -> list[str]:
        with self._state.database.transaction() as cursor:
            _check_repository(cursor, name)
            rows = cursor.rows(
                "SELECT name FROM tag WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
                name,
                last,
                limit,
            )
        return [row["name"] for row in rows]

    def _referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        with self._state.database.transaction() as cursor:
            _check_repository(cursor, name)
            rows = cursor.rows(
                "SELECT * FROM image WHERE repository = ? AND subject = ? ORDER BY digest", name, digest
            )
        return [_descriptor(row) for row in rows]


def _descriptor(row: sqlite3.Row) -> dict[str, Any]:
    descriptor = {
        "mediaType": row["media_type"],
        "digest": row["digest"],
        "size": len(row["manifest"].encode()),
        "artifactType": row["artifact_media_type"],
        "annotations": json.loads(row["manifest"]).get("annotations"),
    }
    return {key: value for key, value in descriptor.items() if value is not None}


def _check_repository(cursor: Cursor, name: str) -> None:
    if cursor.row("SELECT 1 FROM repository WHERE name = ?", name) is None:
        raise unknown_name(name)


def _accepts(headers: list[str], media_type: str) -> bool:
    """Whether a request takes a media type; one that says nothing takes all."""
    accepted = {item.partition(";")[0].strip() for header in headers for item in header.split(",")} - {""}
    return not accepted or not accepted.isdisjoint({media_type, "*/*", "application/*"})


def _count(value: str | None) -> int:
    if value is None:
        return _MOST_TAGS
    if not (value.isascii() and value.isdigit() and len(value) < 10):  # noqa: PLR2004 - a number that fits
        raise V2Error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    return min(int(value), _MOST_TAGS)
