"""The functions that push: one image, many images, one layer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._generated import service
from aioecrpublic._generated.types import PutImageRequest
from aioecrpublic._runtime.errors import ConfigurationError, ValidationError
from aioecrpublic._runtime.validate import problems
from aioecrpublic.images import open_image
from aioecrpublic.push.attached import Pushed, as_attachable, push_attached
from aioecrpublic.push.blobs import LayerInput, open_blob
from aioecrpublic.push.budget import MemoryBudget, budget_of
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.events import Emitter, LayerSkipped
from aioecrpublic.push.image import ImageOptions, ImagePush
from aioecrpublic.push.journal import Journal
from aioecrpublic.push.layer import LayerUpload, UploadOptions
from aioecrpublic.push.repository import KnownLayers
from aioecrpublic.push.result import LayerResult, PushResult
from aioecrpublic.push.sizes import check_layer_size, check_part_size

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import ImageSource
    from aioecrpublic.push.events import OnEvent

DEFAULT_JOBS = 4
# OCI distribution specification, "Pulling manifests".
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@attrs.frozen(kw_only=True)
class ImageJob:
    """One of many images to push.

    Attributes:
        source: Where the image is, as ``push_image`` takes it.
        repository_name: Where it goes.
        tags: The tags that it gets.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        platforms: The platforms of an index that are wanted; ``None`` is the whole of it.
    """

    source: ImageSource | str | os.PathLike[str]
    repository_name: str
    tags: Sequence[str] = ()
    registry_id: str | None = None
    platforms: Sequence[str] | None = None


async def push_image(
    client: ECRPublicClient,
    source: ImageSource | str | os.PathLike[str],
    repository_name: str,
    tags: Sequence[str] = (),
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
    """Push an image: what the repository lacks of it, byte for byte, then its manifests, then its tags.

    Only bytes that the repository does not have are sent. Whatever fails on the way is mended at the smallest
    scope; what cannot be mended ends in one error, and a push that is made again goes on from there.

    Args:
        client: An open client.
        source: An ``ImageSource``, which is closed afterwards unless it was entered before, or a string that
            ``open_image`` understands: ``oci:DIR[:ref]``, ``oci-archive:FILE[:ref]``,
            ``docker-archive:FILE[:ref]``, ``docker://HOST/REPO:TAG``, or a path.
        repository_name: The repository's name, without registry or tag.
        tags: The tags that the image gets; without one it is known by its digest alone.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        jobs: Layers in flight.
        part_size: Bytes of a part, from 5 to 20 MiB; ``None`` is what the service asks for.
        platforms: The platforms of an index that are wanted, such as ``["linux/amd64"]``; ``None`` is the
            whole index, byte for byte.
        create_repository: Make the repository if it is not there.
        journal: A file that remembers unfinished layers, so that a push that died goes on in their middle.
        on_event: Called with every event; an awaitable that it returns is awaited. What is attached to the
            image comes as pushes of their own, after the image's.
        memory_budget: Bytes that parts may take in memory; ``None`` is a budget of 64 MiB that all pushes
            through this client share.
        include_nondistributable: Also push layers that are meant to be fetched from elsewhere.
        referrers: Also push what is attached to the image and to every manifest in it: the manifests that
            refer to it as their subject (OCI distribution specification, "Listing Referrers") and what cosign
            has stored under tags made of its digest; then what is attached to those.

    Returns:
        What is in the repository now, and what it took: digest, tags and URIs are the image's, the counts and
        the time those of the image and all that was pushed with it.

    Raises:
        ConfigurationError: An argument cannot be used.
        ValidationError: The repository's name or a tag cannot be.
        ImageError: The image is not what it says it is; nothing of it was put.
        PushError: It could not be finished.
        ServiceError: The service refuses it, such as ``RepositoryNotFoundException``.
    """
    job = ImageJob(
        source=source,
        repository_name=repository_name,
        tags=tags,
        registry_id=registry_id,
        platforms=platforms,
    )
    pushing = _pushing(client, jobs, part_size, memory_budget, journal, on_event)
    async with _single_error(), pushing as pusher:
        return await pusher.push(
            job,
            create_repository=create_repository,
            include_nondistributable=include_nondistributable,
            referrers=referrers,
        )


async def push_images(
    client: ECRPublicClient,
    images: Sequence[ImageJob],
    *,
    jobs: int = DEFAULT_JOBS,
    part_size: int | None = None,
    create_repository: bool = False,
    journal: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    memory_budget: int | None = None,
    include_nondistributable: bool = False,
    referrers: bool = False,
) -> list[PushResult]:
    """Push many images together: they share jobs, memory, pace, and what is known of the repositories.

    A layer that several images have is uploaded once for each repository. The arguments are those of
    ``push_image``; ``jobs`` is for all images together.

    Returns:
        The results, in the order of ``images``.

    Raises:
        ExceptionGroup: Some images could not be pushed; the others were. Each error has a note that names its
            image.
    """
    pushing = _pushing(client, jobs, part_size, memory_budget, journal, on_event)
    async with _single_error(), pushing as pusher:
        turns = asyncio.Semaphore(jobs)

        async def push(job: ImageJob) -> PushResult:
            async with turns, _single_error():
                return await pusher.push(
                    job,
                    create_repository=create_repository,
                    include_nondistributable=include_nondistributable,
                    referrers=referrers,
                )

        for job in images:
            _check_names(client, job)
        outcomes = await asyncio.gather(*(push(job) for job in images), return_exceptions=True)
    errors = []
    for job, outcome in zip(images, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            outcome.add_note(f"while pushing {job.source} to {job.repository_name}")
            errors.append(outcome)
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} of {len(images)} images could not be pushed", errors)
    return [outcome for outcome in outcomes if isinstance(outcome, PushResult)]


async def upload_layer(
    client: ECRPublicClient,
    repository_name: str,
    blob: LayerInput,
    *,
    digest: str | None = None,
    registry_id: str | None = None,
    part_size: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    memory_budget: int | None = None,
) -> LayerResult:
    """Upload one blob, unless the repository has it.

    Args:
        client: An open client.
        repository_name: The repository's name.
        blob: Bytes, a ``BlobReader``, or the path of a file.
        digest: Its digest (``sha256:…``); computed if not given, held against the bytes if given.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        part_size: Bytes of a part, from 5 to 20 MiB; ``None`` is what the service asks for.
        journal: A file that remembers the upload if it is not finished.
        on_event: Called with every event; an awaitable that it returns is awaited.
        memory_budget: Bytes that parts may take in memory; ``None`` is the client's shared budget of 64 MiB.

    Returns:
        What it took.

    Raises:
        ConfigurationError: An argument cannot be used.
        ImageError: The bytes cannot be read, do not have the digest, are none, or too many.
        PushError: It could not be finished.
        ServiceError: The service refuses it.
    """
    job = ImageJob(source="", repository_name=repository_name, registry_id=registry_id)
    pushing = _pushing(client, 1, part_size, memory_budget, journal, on_event)
    async with _single_error(), pushing as pusher:
        _check_names(client, job)
        return await pusher.upload(job, blob, digest)


class _Pusher:
    """What the pushes of one call share."""

    def __init__(
        self,
        client: ECRPublicClient,
        jobs: int,
        part_size: int | None,
        budget: MemoryBudget,
        on_event: OnEvent | None,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._slots = asyncio.Semaphore(jobs)
        self._known: dict[tuple[str, str | None], KnownLayers] = {}
        self._upload = UploadOptions(
            part_size=part_size, budget=budget, emitter=Emitter(on_event), journal=None
        )

    async def use(self, journal: Journal) -> None:
        """Remember unfinished layers in ``journal``."""
        if journal.damaged is not None:
            await self._upload.emitter.emit(journal.damaged)
        self._upload = attrs.evolve(self._upload, journal=journal)

    async def push(
        self, job: ImageJob, *, create_repository: bool, include_nondistributable: bool, referrers: bool
    ) -> PushResult:
        """Push one image, and on request what is attached to it."""
        _check_names(self._client, job)
        options = ImageOptions(
            tags=tuple(dict.fromkeys(job.tags)),
            platforms=job.platforms,
            include_nondistributable=include_nondistributable,
            create_repository=create_repository,
            jobs=self._jobs,
        )
        async with open_image(job.source) as source:
            if not referrers:
                return (await self._push_from(source, job, options)).result
            attachable = as_attachable(source)
            image = await self._push_from(source, job, options)

            async def push_single(attached: ImageSource, tags: Sequence[str]) -> Pushed:
                alone = attrs.evolve(options, tags=tuple(tags), platforms=None, create_repository=False)
                return await self._push_from(attached, job, alone)

            return await push_attached(attachable, image, push_single)

    async def _push_from(self, source: ImageSource, job: ImageJob, options: ImageOptions) -> Pushed:
        push = ImagePush(
            source,
            self._destination(job),
            options=options,
            upload=self._upload,
            known=self._known.setdefault((job.repository_name, job.registry_id), KnownLayers()),
            slots=self._slots,
        )
        return await push.run()

    async def upload(self, job: ImageJob, blob: LayerInput, digest: str | None) -> LayerResult:
        """Upload one layer, unless it is there."""
        destination = self._destination(job)
        opened = await asyncio.to_thread(open_blob, blob, digest)
        try:
            descriptor = opened.descriptor
            check_layer_size(descriptor.digest, descriptor.size)
            if not await destination.has(descriptor.digest):
                return await self._upload_opened(LayerUpload(destination, opened, self._upload))
            if self._upload.journal is not None:
                await self._upload.journal.forget(destination, descriptor.digest)
            await self._upload.emitter.emit(
                LayerSkipped(digest=descriptor.digest, size=descriptor.size, media_type=descriptor.media_type)
            )
            return LayerResult(
                digest=descriptor.digest,
                size=descriptor.size,
                uploaded=False,
                bytes_sent=0,
                retries=destination.retries,
                elapsed=0.0,
            )
        finally:
            await opened.close()

    async def _upload_opened(self, upload: LayerUpload) -> LayerResult:
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(self._upload.emitter.tick())
            result = await upload.run()
            ticking.cancel()
        return attrs.evolve(result, retries=result.retries + upload.destination.retries)

    def _destination(self, job: ImageJob) -> Destination:
        return Destination(self._client, job.repository_name, job.registry_id)


@asynccontextmanager
async def _pushing(
    client: ECRPublicClient,
    jobs: int,
    part_size: int | None,
    memory_budget: int | None,
    journal: str | os.PathLike[str] | None,
    on_event: OnEvent | None,
) -> AsyncGenerator[_Pusher]:
    """A pusher with checked arguments and, if asked for, an open journal."""
    if not _is_count(jobs):
        raise ConfigurationError(f"jobs is {jobs!r}, at least 1")
    budget = budget_of(client) if memory_budget is None else MemoryBudget(memory_budget)
    check_part_size(part_size, budget)
    pusher = _Pusher(client, jobs, part_size, budget, on_event)
    if journal is None:
        yield pusher
        return
    async with Journal(journal) as opened:
        await pusher.use(opened)
        yield pusher


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def _check_names(client: ECRPublicClient, job: ImageJob) -> None:
    """Refuse a repository's name or a tag that cannot be, before the image is read."""
    if isinstance(job.tags, str) or not isinstance(job.tags, Sequence):
        raise ValidationError("push_image", (f"tags is {type(job.tags).__name__}, not a list",))
    request = PutImageRequest(
        repository_name=job.repository_name, registry_id=job.registry_id, image_manifest="{}"
    )
    found = [*problems(service.SERVICE, service.PUT_IMAGE, request, client.hints)]
    found += [
        f"tags[{index}] {tag!r} is not a tag: at most 128 letters, digits, '_', '.' and '-', "
        "the first neither '.' nor '-'"
        for index, tag in enumerate(job.tags)
        if not _is_tag(tag)
    ]
    if found:
        raise ValidationError("push_image", tuple(found))


@asynccontextmanager
async def _single_error() -> AsyncGenerator[None]:
    """The first of the errors that a task group collected, as itself: the others followed from it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = _first(group)
        raise error from error.__cause__


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
