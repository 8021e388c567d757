"""Images in a registry that speaks the Docker Registry v2 protocol (the OCI distribution specification)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import yarl

from aioecrpublic._common.addresses import is_this_machine
from aioecrpublic._common.http import Connections, Timeouts
from aioecrpublic._common.oci import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    IMAGE_MANIFESTS,
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
)
from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import Descriptor, parse_descriptor
from aioecrpublic.images.digest import check_digest, is_digest, new_hash, verify
from aioecrpublic.images.docker_config import find_credentials
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.layout import check_manifest_size
from aioecrpublic.images.manifest import MAX_MANIFEST_SIZE
from aioecrpublic.images.reference import DOCKER_HUB, cosign_names, parse_reference
from aioecrpublic.images.registry_auth import Authorizer
from aioecrpublic.images.registry_blob import RegistryBlob
from aioecrpublic.images.registry_headers import content_length, next_link
from aioecrpublic.images.registry_http import Http, check_transient, failure, open_connections, read_body
from aioecrpublic.images.registry_urls import URLError, join_url, origin_of, show_origin
from aioecrpublic.images.source import SourceLifecycle

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import aiohttp
    from multidict import CIMultiDict

    from aioecrpublic._common.http import Response
    from aioecrpublic.images.docker_config import RegistryCredentials

_ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
_HUB_API = "registry-1.docker.io"
_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_MAX_PAGES = 100


@attrs.frozen
class _Reply:
    status: int
    headers: CIMultiDict[str]
    body: bytes


class RegistryImage(SourceLifecycle):
    """An image in a registry; nothing of it is stored on disk.

    Args:
        reference: `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:…`, with or without `docker://` before it;
            without a host it is on Docker Hub.
        credentials: what to identify with, if the registry asks; None: what `docker login` has left.
        anonymous: never identify, whatever `docker login` has left.
        docker_config: Docker's configuration file; None: `config.json` in `DOCKER_CONFIG` or `~/.docker`.
        insecure: True for plain http, False for https; None: https, except on this machine (`localhost`).
        session: your own session, which is not closed here; its default headers go to every host that the
            registry redirects to. None: an own one, which heeds the proxy settings of the environment.
        max_attempts: of each request, and in a row without progress while a blob is read.
        connect_timeout: seconds for a connection to be made, the resolution of the name included.
        read_timeout: seconds for a reply to begin, and without a byte; see `aioecrpublic._common.http`.
    """

    def __init__(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None = None,
        anonymous: bool = False,
        docker_config: str | os.PathLike[str] | None = None,
        insecure: bool | None = None,
        session: aiohttp.ClientSession | None = None,
        max_attempts: int = 5,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
    ) -> None:
        if max_attempts < 1:
            raise ValueError("max_attempts must be at least 1")
        self._reference = parse_reference(reference)
        host = _HUB_API if self._reference.host == DOCKER_HUB else self._reference.host
        plain = is_this_machine(host) if insecure is None else insecure
        self._base = yarl.URL(f"{'http' if plain else 'https'}://{host}/v2/{self._reference.repository}/")
        self._credentials = credentials
        self._anonymous = anonymous
        self._docker_config = None if docker_config is None else Path(docker_config)
        self._given_session = session
        self._connections: Connections | None = None
        self._max_attempts = max_attempts
        self._timeouts = Timeouts(connect_timeout, read_timeout)
        self._connection: _Connection | None = None
        self._root: Descriptor | None = None
        self._manifests: dict[str, bytes] = {}
        self._blobs: set[RegistryBlob] = set()
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return f"docker://{self._reference}"

    async def open(self) -> Descriptor:
        """Ask the registry for the image, and return its root: an image manifest or an index."""
        async with self._opening:
            if self._closed:
                raise ImageError(f"{self.name}: used after it was closed")
            if self._root is None:
                try:
                    self._connection = await self._connect()
                    self._root = await self._resolve(self._reference.reference)
                except BaseException:
                    await self.close()
                    raise
                if self._root is None:
                    await self.close()
                    raise ImageError(f"{self.name}: no such image")
            return self._root

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        """Return the exact bytes of a manifest, checked against size and digest."""
        await self.open()
        check_manifest_size(descriptor, self.name)
        what = f"{self.name}: manifest {descriptor.digest}"
        raw = self._manifests.get(descriptor.digest)
        if raw is None:
            reply = await self._manifest(check_digest(descriptor.digest, what), descriptor.size)
            if reply is None:
                raise ImageError(f"{what} is missing")
            raw = reply.body
        if len(raw) != descriptor.size:
            raise ImageError(f"{what} has {len(raw)} bytes, but its descriptor says {descriptor.size}")
        verify(raw, descriptor.digest, what)
        return raw

    async def find(self, reference: str) -> Descriptor | None:
        """Return the descriptor of what a tag or digest of the repository names, None if it names nothing.

        Its bytes are kept for `read_manifest`.

        Raises:
            ImageError: the registry fails.
        """
        await self.open()
        return await self._resolve(reference)

    async def open_blob(self, descriptor: Descriptor) -> RegistryBlob:
        """Ask for a blob, which must exist and have the descriptor's size."""
        await self.open()
        what = f"{self.name}: blob {descriptor.digest}"
        path = f"blobs/{check_digest(descriptor.digest, what)}"
        request = partial(self._connected.stream, path, what)
        blob = RegistryBlob(descriptor, request, what, self._max_attempts, self._blobs.discard)
        self._blobs.add(blob)
        try:
            await blob.open()
        except BaseException:
            await blob.close()
            raise
        return blob

    async def check_blob(self, descriptor: Descriptor) -> None:
        """Check that a blob exists and has the descriptor's size, as far as the registry says so for a HEAD.

        Where a blob store behind the registry refuses to answer, `open_blob` is what tells.
        """
        await self.open()
        what = f"{self.name}: blob {descriptor.digest}"
        path = f"blobs/{check_digest(descriptor.digest, what)}"
        reply = await self._connected.fetch("HEAD", path, what, limit=0)
        if reply.status == _NOT_FOUND:
            raise ImageError(f"{what} is missing")
        size = content_length(reply.headers)
        if reply.status == _OK and size is not None and size != descriptor.size:
            raise ImageError(f"{what} has {size} bytes, but its descriptor says {descriptor.size}")

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests of the repository that refer to `digest` as their subject.

        Asked of the referrers API, and where there is none, of the tag `sha256-HEX` (OCI distribution
        specification, "Listing Referrers").

        Raises:
            ImageError: the registry fails or answers something malformed.
        """
        await self.open()
        what = f"{self.name}: referrers of {digest}"
        path = f"referrers/{check_digest(digest, what)}"
        found = await self._referrers(path, what)
        if found is None:
            fallback = await self._resolve(digest.replace(":", "-"))
            raw = b"{}" if fallback is None else self._manifests[fallback.digest]
            found = _entries(raw, what)
        return tuple({descriptor.digest: descriptor for descriptor in found}.values())

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under tags made of its digest, by tag.

        These are signatures (`sha256-HEX.sig`), attestations (`.att`) and SBOMs (`.sbom`).

        Raises:
            ImageError: the registry fails.
        """
        await self.open()
        tags = cosign_names(digest, self.name)
        found = [await self._resolve(tag) for tag in tags]
        return {
            tag: descriptor for tag, descriptor in zip(tags, found, strict=True) if descriptor is not None
        }

    async def close(self) -> None:
        """Break off all streams and close the own session."""
        self._closed = True
        for blob in list(self._blobs):
            await blob.close()
        if self._connections is not None:
            await self._connections.close()

    @property
    def _connected(self) -> _Connection:
        if self._connection is None:
            raise ImageError(f"{self.name}: used before it was opened")
        return self._connection

    async def _connect(self) -> _Connection:
        self._connections = (
            await open_connections(self.name)
            if self._given_session is None
            else Connections(self._given_session)
        )
        if self._closed:
            await self._connections.close()
            raise ImageError(f"{self.name}: used after it was closed")
        http = Http(
            self._connections,
            self._timeouts,
            self._max_attempts,
            use_proxies=self._given_session is None,
        )
        authorizer = Authorizer(
            http, self._base, self._reference.repository, self._find_credentials, self.name
        )
        return _Connection(http, authorizer, self._base)

    async def _find_credentials(self) -> RegistryCredentials | None:
        if self._anonymous or self._credentials is not None:
            return self._credentials
        return await asyncio.to_thread(find_credentials, self._reference.host, self._docker_config)

    async def _resolve(self, reference: str) -> Descriptor | None:
        """Return the descriptor of what a tag or digest names, None if it names nothing; keep its bytes."""
        what = f"{self.name}: manifest {reference}"
        reply = await self._manifest(reference, MAX_MANIFEST_SIZE)
        if reply is None:
            return None
        stated = reply.headers.get("Docker-Content-Digest", "")
        hashed = new_hash(reference if is_digest(reference) else "sha256:")
        hashed.update(reply.body)
        descriptor = Descriptor(
            media_type=_media_type(reply, what),
            digest=f"{hashed.name}:{hashed.hexdigest()}",
            size=len(reply.body),
        )
        for value in (reference, stated):
            if is_digest(value):
                verify(reply.body, value, what)
        self._manifests[descriptor.digest] = reply.body
        return descriptor

    async def _manifest(self, reference: str, limit: int) -> _Reply | None:
        what = f"{self.name}: manifest {reference}"
        reply = await self._connected.fetch(
            "GET", f"manifests/{reference}", what, limit=limit, headers={"Accept": _ACCEPT}
        )
        return None if reply.status == _NOT_FOUND else reply

    async def _referrers(self, path: str, what: str) -> list[Descriptor] | None:
        """Return what the referrers API lists on all its pages, None if there is no such API."""
        found: list[Descriptor] = []
        for _ in range(_MAX_PAGES):
            reply = await self._connected.fetch(
                "GET", path, what, limit=MAX_MANIFEST_SIZE, headers={"Accept": OCI_INDEX}
            )
            if reply.status == _NOT_FOUND:
                return None
            found += _entries(reply.body, what)
            try:
                link = next_link(reply.headers.getall("Link", []))
            except ValueError as error:
                raise ImageError(f"{what}: not a valid Link header: {error}") from None
            if link is None:
                return found
            path = link
        raise ImageError(f"{what}: more than {_MAX_PAGES} pages")


class _Connection:
    """Authorised requests for one repository."""

    def __init__(self, http: Http, authorizer: Authorizer, base: yarl.URL) -> None:
        self._http = http
        self._authorizer = authorizer
        self._base = base

    async def fetch(
        self, method: str, path: str, what: str, *, limit: int, headers: Mapping[str, str] | None = None
    ) -> _Reply:
        """Return a reply, read whole; it is good or 404, for HEAD of any status that is final.

        Raises:
            ImageError: the registry fails, refuses, or sends more than `limit` bytes.
        """

        async def attempt() -> _Reply:
            response = await self._send(method, path, headers or {})
            try:
                check_transient(response)
                if response.status not in {_OK, _NOT_FOUND} and method != "HEAD":
                    raise ImageError(f"{what}: {await failure(response)}")
                good = response.status == _OK and method != "HEAD"
                body = await read_body(response, limit, what) if good else b""
                return _Reply(response.status, response.headers.copy(), body)
            finally:
                response.close()

        return await self._http.retry(attempt, what)

    async def stream(self, path: str, what: str, headers: Mapping[str, str]) -> Response:
        """Return the unread response to a GET, of any status that is final.

        Raises:
            ImageError: the registry fails or refuses.
        """

        async def attempt() -> Response:
            response = await self._send("GET", path, headers)
            check_transient(response)
            return response

        return await self._http.retry(attempt, what)

    async def _send(self, method: str, path: str, headers: Mapping[str, str]) -> Response:
        try:
            url = join_url(self._base, path)
        except URLError as error:
            raise ImageError(f"{show_origin(self._base)}: the registry refers to {error}") from None
        if origin_of(url) != origin_of(self._base):
            raise ImageError(
                f"{show_origin(self._base)}: the registry refers to another host for its own answers"
            )
        authorization = await self._authorizer.current()
        response = await self._http.send(method, url, headers=headers, authorization=authorization)
        try:
            renewed = await self._renewed(response, authorization)
        except BaseException:
            response.close()
            raise
        if renewed is None:
            return response
        response.close()
        return await self._http.send(method, url, headers=headers, authorization=renewed)

    async def _renewed(self, response: Response, authorization: str | None) -> str | None:
        """Return what to ask again with, None if the response is what there is to be had."""
        # Only the registry may ask who we are, not whoever it redirects to.
        if origin_of(response.url) != origin_of(self._base):
            return None
        if response.status == _UNAUTHORIZED:
            challenges = response.headers.getall("WWW-Authenticate", [])
            return await self._authorizer.renew(challenges, authorization)
        if response.status == _BAD_REQUEST:
            # How public.ecr.aws says that a token has expired: without a challenge.
            return await self._authorizer.replace(authorization)
        return None


def _media_type(reply: _Reply, what: str) -> str:
    """Return the type of a manifest: what the registry says if it makes sense, else the document's own."""
    stated = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if stated in INDEXES | IMAGE_MANIFESTS | SCHEMA_1:
        return stated
    document = jsondoc.parse_object(reply.body, what)
    media_type = jsondoc.text(document, "mediaType", what)
    if media_type is None:
        raise ImageError(f"{what}: neither the registry nor the document says its media type")
    return media_type


def _entries(raw: bytes, what: str) -> list[Descriptor]:
    entries = jsondoc.items(jsondoc.parse_object(raw, what), "manifests", what)
    return [parse_descriptor(entry, f"{what}: manifests[{number}]") for number, entry in enumerate(entries)]
