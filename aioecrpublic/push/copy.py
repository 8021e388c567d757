"""From any registry into ECR Public: an image, and on request what is attached to it."""

from __future__ import annotations

import inspect
from collections import deque
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import ImageError, RegistryImage
from aioecrpublic.images.reference import parse_reference
from aioecrpublic.images.source import SourceLifecycle
from aioecrpublic.push.api import DEFAULT_JOBS, push_image
from aioecrpublic.push.events import ManifestPut

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Sequence

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import Descriptor
    from aioecrpublic.images.registry_blob import RegistryBlob
    from aioecrpublic.push.events import OnEvent, PushEvent
    from aioecrpublic.push.result import PushResult

MAX_ATTACHED = 1000
"""Signatures, attestations and the like of one image; more is a registry that answers without end."""
_SCHEME = "docker://"


async def copy_image(
    client: ECRPublicClient,
    source: RegistryImage | str,
    repository_name: str,
    tags: Sequence[str] | None = None,
    registry_id: str | None = None,
    *,
    jobs: int = DEFAULT_JOBS,
    part_size: int | None = None,
    platforms: Sequence[str] | None = None,
    create_repository: bool = False,
    journal: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    memory_budget: int | None = None,
    include_nondistributable: bool = False,
    referrers: bool = False,
) -> PushResult:
    """Copy an image out of another registry: no engine, nothing on disk, byte for byte.

    Only the layers that the repository lacks are read; they go from one registry to the other in parts that
    are held in memory within the budget. Copying again transfers no layer.

    Args:
        client: An open client.
        source: ``docker://HOST/REPOSITORY:TAG`` or ``…@sha256:…``, for which the credentials that
            ``docker login`` has left are used; or a ``RegistryImage``, which is closed afterwards unless it
            was entered before.
        repository_name: The repository's name, without registry or tag.
        tags: The tags that the image gets; ``None`` is the tag that it has in the source, if it is asked for
            by one, and an empty list is none.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        jobs: Layers in flight.
        part_size: Bytes of a part, from 5 to 20 MiB; ``None`` is what the service asks for.
        platforms: The platforms of an index that are wanted, such as ``["linux/amd64"]``; ``None`` is the
            whole index, byte for byte.
        create_repository: Make the repository if it is not there.
        journal: A file that remembers unfinished layers, so that a copy that died goes on in their middle.
        on_event: Called with every event; an awaitable that it returns is awaited. What is attached to the
            image comes as pushes of their own, after the image's.
        memory_budget: Bytes that parts may take in memory; ``None`` is a budget of 64 MiB that all pushes
            through this client share.
        include_nondistributable: Also copy layers that are meant to be fetched from elsewhere.
        referrers: Also copy what is attached to the image and to every manifest in it: the manifests that
            refer to it as their subject (OCI distribution specification, "Listing Referrers") and what cosign
            has stored under tags made of its digest; then what is attached to those.

    Returns:
        What is in the repository now: digest, tags and URIs are the image's, the counts and the time those of
        the image and all that is attached to it.

    Raises:
        ConfigurationError: An argument cannot be used.
        ValidationError: The repository's name or a tag cannot be.
        ImageError: The registry has no such image, refuses it, or it is not what it says it is.
        PushError: It could not be finished.
        ServiceError: The service refuses it, such as ``RepositoryNotFoundException``.
    """
    image = _opened_by(source)
    named = parse_reference(image.name)
    wanted = [] if named.digest or named.tag is None else [named.tag]
    put = _PutManifests(on_event)

    async def push(part: RegistryImage | _Attached, part_tags: Sequence[str]) -> PushResult:
        attached = part is not image
        return await push_image(
            client,
            part,
            repository_name,
            part_tags,
            registry_id,
            jobs=jobs,
            part_size=part_size,
            platforms=None if attached else platforms,
            create_repository=create_repository and not attached,
            journal=journal,
            on_event=put,
            memory_budget=memory_budget,
            include_nondistributable=include_nondistributable,
        )

    async with image:
        result = await push(image, wanted if tags is None else tags)
        if not referrers:
            return result
        return await _with_attached(image, result, put, push)


async def _with_attached(
    image: RegistryImage,
    result: PushResult,
    put: _PutManifests,
    push: Callable[[_Attached, Sequence[str]], Awaitable[PushResult]],
) -> PushResult:
    """Copy what is attached to the manifests that were put, and what is attached to that, and so on."""
    asked: set[str] = set()
    copied = 0
    while put.digests:
        digest = put.digests.popleft()
        if digest in asked:
            continue
        asked.add(digest)
        for descriptor, tags in await _attached_to(image, digest):
            copied += 1
            if copied > MAX_ATTACHED:
                raise ImageError(f"{image.name}: more than {MAX_ATTACHED} manifests are attached to it")
            result = _sum(result, await push(_Attached(image, descriptor), tags))
    return result


async def _attached_to(image: RegistryImage, digest: str) -> list[tuple[Descriptor, list[str]]]:
    attached: list[tuple[Descriptor, list[str]]] = [
        (descriptor, []) for descriptor in await image.referrers(digest)
    ]
    attached += [(descriptor, [tag]) for tag, descriptor in (await image.cosign_tags(digest)).items()]
    return attached


def _opened_by(source: RegistryImage | str) -> RegistryImage:
    if isinstance(source, RegistryImage):
        return source
    if not source.startswith(_SCHEME):
        raise ConfigurationError(f"source {source!r} is not {_SCHEME}HOST/REPOSITORY:TAG or …@DIGEST")
    return RegistryImage(source)


def _sum(image: PushResult, attached: PushResult) -> PushResult:
    counts = ("layers_uploaded", "layers_skipped", "bytes_uploaded", "bytes_skipped", "elapsed", "retries")
    return attrs.evolve(image, **{name: getattr(image, name) + getattr(attached, name) for name in counts})


class _PutManifests:
    """Notes which manifests were put, on the way to the user's callback.

    Attributes:
        digests: Their digests.
    """

    def __init__(self, on_event: OnEvent | None) -> None:
        self.digests: deque[str] = deque()
        self._on_event = on_event

    async def __call__(self, event: PushEvent) -> None:
        if isinstance(event, ManifestPut):
            self.digests.append(event.digest)
        if self._on_event is not None:
            told = self._on_event(event)
            if inspect.isawaitable(told):
                await told


class _Attached(SourceLifecycle):
    """A manifest of an image's repository as a source of its own; the image stays open."""

    def __init__(self, image: RegistryImage, root: Descriptor) -> None:
        self._image = image
        self._root = root

    @property
    def name(self) -> str:
        return f"{self._image.name}: attached {self._root.digest}"

    async def open(self) -> Descriptor:
        await self._image.open()
        return self._root

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        return await self._image.read_manifest(descriptor)

    async def open_blob(self, descriptor: Descriptor) -> RegistryBlob:
        return await self._image.open_blob(descriptor)

    async def check_blob(self, descriptor: Descriptor) -> None:
        await self._image.check_blob(descriptor)

    async def close(self) -> None:
        """Leave the image open: it belongs to the copy."""
