"""Images in a registry that speaks the Docker Registry v2 protocol (the OCI distribution specification)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yarl

from aioecrpublic._common.addresses import is_this_machine
from aioecrpublic._common.http import Connections, SessionError, Timeouts
from aioecrpublic._common.numbers import check_count, check_positive
from aioecrpublic._common.oci import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    IMAGE_MANIFESTS,
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
    TAG,
)
from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import Descriptor, parse_descriptor
from aioecrpublic.images.digest import check_digest, is_digest, new_hash, verify
from aioecrpublic.images.docker_config import look_up_credentials, read_config
from aioecrpublic.images.errors import ArgumentError, ImageError, shown
from aioecrpublic.images.layout import check_manifest_size
from aioecrpublic.images.manifest import MAX_MANIFEST_SIZE
from aioecrpublic.images.reference import DOCKER_HUB, cosign_names, parse_reference
from aioecrpublic.images.registry_blob import RegistryBlob
from aioecrpublic.images.registry_client import RegistryClient
from aioecrpublic.images.registry_headers import content_length, next_link
from aioecrpublic.images.registry_http import Http, open_connections
from aioecrpublic.images.source import SourceLifecycle

if TYPE_CHECKING:
    import os

    import aiohttp

    from aioecrpublic.images.docker_config import RegistryCredentials
    from aioecrpublic.images.registry_client import Reply

_ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
_HUB_API = "registry-1.docker.io"
MAX_REFERRERS = 1000
"""Manifests that refer to one; more is a registry that answers without end."""
_OK = 200
_NOT_FOUND = 404
_MAX_PAGES = 100
_MAX_LISTING = 32 * 1024 * 1024
"""Bytes of all pages of one listing."""
_LISTING_TIME = 300.0
"""Seconds that all pages of one listing may take."""
_MAX_KEPT = 8 * 1024 * 1024
_MOST_KEPT = 100
"""Bytes and number of the manifests that are kept until they are read."""
_SMALL = 64 * 1024
"""Bytes of JSON that may be parsed on the event loop: about 3 ms of work."""


class RegistryImage(SourceLifecycle):
    """An image in a registry; nothing of it is stored on disk.

    Args:
        reference: `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:…`, with or without `docker://` before it;
            without a host it is on Docker Hub.
        credentials: what to identify with, if the registry asks; None: what `docker login` or `podman login`
            has left.
        anonymous: never identify, whatever a login has left.
        docker_config: the only configuration file to read; None: `REGISTRY_AUTH_FILE`, Podman's `auth.json`
            and Docker's `config.json`, in the order of containers-auth.json(5).
        insecure: True for plain http, False for https; None: https, but plain http on this machine
            (`localhost`), unless `ca_file` is given, or `verify_tls` is False and the registry speaks TLS.
        session: your own session, which is not closed here; its default headers go to every host that the
            registry redirects to. None: an own one, which heeds the proxy settings of the environment.
        ca_file: certificates to trust instead of those that the environment or the system names: a file in
            PEM, or a directory as `openssl rehash` prepares it; not with a session of yours.
        verify_tls: False takes any certificate of any server that the image is read from; not with a session
            of yours.
        max_attempts: of each request, and in a row without progress while a blob is read.
        connect_timeout: seconds for a connection to be made, the resolution of the name included.
        read_timeout: seconds for the head of a reply, and without a byte of its body, which has to come at
            1 KiB per second on average.
    """

    def __init__(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None = None,
        anonymous: bool = False,
        docker_config: str | os.PathLike[str] | None = None,
        insecure: bool | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        verify_tls: bool = True,
        session: aiohttp.ClientSession | None = None,
        max_attempts: int = 5,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
    ) -> None:
        if session is not None and (ca_file is not None or not verify_tls):
            raise ImageError("ca_file and verify_tls=False cannot be used with a session of your own")
        if ca_file is not None and not verify_tls:
            raise ImageError("ca_file cannot be used with verify_tls=False")
        self._reference = parse_reference(reference)
        host = _HUB_API if self._reference.host == DOCKER_HUB else self._reference.host
        local = insecure is None and is_this_machine(host)
        # skopeo's --src-tls-verify=false is for registries on this machine with TLS and without.
        self._may_be_plain = local and not verify_tls
        plain = insecure or (local and ca_file is None and verify_tls)
        self._base = yarl.URL(f"{'http' if plain else 'https'}://{host}/v2/{self._reference.repository}/")
        self._credentials = credentials
        self._anonymous = anonymous
        self._docker_config = None if docker_config is None else Path(docker_config)
        self._ca_file = ca_file
        self._verify_tls = verify_tls
        self._given_session = session
        self._connections: Connections | None = None
        try:
            self._max_attempts = check_count("max_attempts", max_attempts)
            self._timeouts = Timeouts(
                check_positive("connect_timeout", connect_timeout),
                check_positive("read_timeout", read_timeout),
            )
        except ValueError as error:
            raise ArgumentError(str(error)) from None
        self._client: RegistryClient | None = None
        self._root: Descriptor | None = None
        self._manifests: dict[str, bytes] = {}
        self._blobs: set[RegistryBlob] = set()
        self._opening = asyncio.Lock()
        self._first_head = asyncio.Lock()
        self._answers_heads: bool | None = None
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
                    if self._docker_config is not None:
                        # Named, it has to be sound whether or not the registry asks who we are.
                        await asyncio.to_thread(read_config, self._docker_config)
                    self._client = await self._connect()
                    self._root = await self._resolve_root()
                except BaseException:
                    await self.close()
                    raise
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

        Its bytes are kept for `read_manifest`, as long as those found later leave room for them.

        Raises:
            ImageError: the registry fails, or `reference` is neither a tag nor a digest.
        """
        if TAG.fullmatch(reference) is None and not is_digest(reference):
            raise ImageError(f"{self.name}: {shown(reference)} is not a valid tag or digest")
        await self.open()
        found = await self._resolve(reference)
        return None if found is None else found[0]

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

        Where it or a blob store behind it refuses to say, nothing more is asked, and `open_blob` is what
        tells: public.ecr.aws refuses a HEAD to anonymous tokens, and a signed URL is good for a GET alone.
        """
        await self.open()
        what = f"{self.name}: blob {descriptor.digest}"
        path = f"blobs/{check_digest(descriptor.digest, what)}"
        if self._answers_heads is None:
            # One goes first, so that a registry that refuses them is asked no more than that.
            async with self._first_head:
                if self._answers_heads is None:
                    self._answers_heads = await self._check_head(path, what, descriptor)
                    return
        if self._answers_heads:
            self._answers_heads = await self._check_head(path, what, descriptor) and self._answers_heads

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests of the repository that refer to `digest` as their subject, at most 1000.

        Asked of the referrers API, and where there is none, of the tag `sha256-HEX` (OCI distribution
        specification, "Listing Referrers").

        Raises:
            ImageError: the registry fails, answers something malformed, or lists more.
        """
        await self.open()
        what = f"{self.name}: referrers of {digest}"
        path = f"referrers/{check_digest(digest, what)}"
        try:
            async with asyncio.timeout(_LISTING_TIME):
                found = await self._list_referrers(path, what)
                if found is None:
                    fallback = await self._resolve(digest.replace(":", "-"))
                    raw = b"{}" if fallback is None else fallback[1]
                    found = await _parse_entries(raw, what, MAX_REFERRERS)
        except TimeoutError:
            raise ImageError(f"{what}: not all listed within {_LISTING_TIME:g} s") from None
        return tuple({descriptor.digest: descriptor for descriptor in found}.values())

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under tags made of its digest, by tag.

        These are signatures (`sha256-HEX.sig`), attestations (`.att`) and SBOMs (`.sbom`).

        Raises:
            ImageError: the registry fails.
        """
        await self.open()
        tags = cosign_names(digest, self.name)
        found = [await self.find(tag) for tag in tags]
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

    async def _check_head(self, path: str, what: str, descriptor: Descriptor) -> bool:
        """Check a blob by a HEAD; say whether that has told anything."""
        reply = await self._connected.head(path, what)
        if reply.status == _NOT_FOUND:
            raise ImageError(f"{what} is missing")
        size = content_length(reply.headers)
        # Some say 0 for any HEAD.
        if reply.status == _OK and size and size != descriptor.size:
            raise ImageError(f"{what} has {size} bytes, but its descriptor says {descriptor.size}")
        return reply.status == _OK

    @property
    def _connected(self) -> RegistryClient:
        if self._client is None:
            raise ImageError(f"{self.name}: used before it was opened")
        return self._client

    async def _connect(self) -> RegistryClient:
        if self._given_session is None:
            self._connections = await open_connections(self.name, self._ca_file, verify=self._verify_tls)
        else:
            try:
                self._connections = Connections(self._given_session)
            except SessionError as error:
                raise ImageError(f"{self.name}: {error}") from error
        if self._closed:
            await self._connections.close()
            raise ImageError(f"{self.name}: used after it was closed")
        http = Http(
            self._connections,
            self._timeouts,
            self._max_attempts,
            use_proxies=self._given_session is None,
        )
        if self._may_be_plain and not await http.is_answered(self._base):
            self._base = self._base.with_scheme("http")
        return RegistryClient(http, self._base, self._reference.repository, self._find_credentials, self.name)

    async def _find_credentials(self) -> RegistryCredentials | None:
        if self._anonymous or self._credentials is not None:
            return self._credentials
        where = self._reference
        return await look_up_credentials(where.host, self._docker_config, repository=where.repository)

    async def _resolve_root(self) -> Descriptor:
        found = await self._resolve(self._reference.reference)
        if found is None:
            raise ImageError(f"{self.name}: no such image")
        return found[0]

    async def _resolve(self, reference: str) -> tuple[Descriptor, bytes] | None:
        """Return what a tag or digest names, None if it names nothing; keep its bytes."""
        what = f"{self.name}: manifest {reference}"
        reply = await self._manifest(reference, MAX_MANIFEST_SIZE)
        if reply is None:
            return None
        stated = reply.headers.get("Docker-Content-Digest", "")
        hashed = new_hash(reference if is_digest(reference) else "sha256:")
        hashed.update(reply.body)
        descriptor = Descriptor(
            media_type=await _media_type(reply, what),
            digest=f"{hashed.name}:{hashed.hexdigest()}",
            size=len(reply.body),
        )
        for value in (reference, stated):
            if is_digest(value):
                verify(reply.body, value, what)
        self._keep(descriptor.digest, reply.body)
        return descriptor, reply.body

    def _keep(self, digest: str, raw: bytes) -> None:
        """Keep a manifest until it is read, as long as younger ones leave room for it."""
        self._manifests.setdefault(digest, raw)
        while sum(map(len, self._manifests.values())) > _MAX_KEPT or len(self._manifests) > _MOST_KEPT:
            del self._manifests[next(iter(self._manifests))]

    async def _manifest(self, reference: str, limit: int) -> Reply | None:
        what = f"{self.name}: manifest {reference}"
        reply = await self._connected.fetch(f"manifests/{reference}", what, limit=limit, accept=_ACCEPT)
        return None if reply.status == _NOT_FOUND else reply

    async def _list_referrers(self, path: str, what: str) -> list[Descriptor] | None:
        """Return what the referrers API lists on all its pages, None if there is no such API."""
        found: list[Descriptor] = []
        size = 0
        for _ in range(_MAX_PAGES):
            reply = await self._connected.fetch(path, what, limit=MAX_MANIFEST_SIZE, accept=OCI_INDEX)
            if reply.status == _NOT_FOUND:
                return None
            size += len(reply.body)
            if size > _MAX_LISTING:
                raise ImageError(f"{what}: more than {_MAX_LISTING} bytes")
            found += await _parse_entries(reply.body, what, MAX_REFERRERS - len(found))
            try:
                link = next_link(reply.headers.getall("Link", []))
            except ValueError as error:
                raise ImageError(f"{what}: not a valid Link header: {error}") from None
            if link is None:
                return found
            path = link
        raise ImageError(f"{what}: more than {_MAX_PAGES} pages")


async def _media_type(reply: Reply, what: str) -> str:
    """Return the type of a manifest: what the registry says if it makes sense, else the document's own."""
    stated = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if stated in INDEXES | IMAGE_MANIFESTS | SCHEMA_1:
        return stated
    document = await asyncio.to_thread(jsondoc.parse_object, reply.body, what)
    media_type = jsondoc.text(document, "mediaType", what)
    if media_type is None:
        raise ImageError(f"{what}: neither the registry nor the document says its media type")
    return media_type


async def _parse_entries(raw: bytes, what: str, room: int) -> list[Descriptor]:
    """Return what an index lists, without holding up the event loop.

    Raises:
        ImageError: It is malformed, or lists more than there is ``room`` for.
    """
    if len(raw) <= _SMALL:
        return _entries(raw, what, room)
    return await asyncio.to_thread(_entries, raw, what, room)


def _entries(raw: bytes, what: str, room: int) -> list[Descriptor]:
    entries = jsondoc.items(jsondoc.parse_object(raw, what), "manifests", what)
    if len(entries) > room:
        raise ImageError(f"{what}: more than {MAX_REFERRERS} manifests")
    return [parse_descriptor(entry, f"{what}: manifests[{number}]") for number, entry in enumerate(entries)]
