"""What the pushes of one call share: jobs, memory, events, the journal, and what is known of repositories."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import open_image
from aioecrpublic.images.source import SupportsOwnTag
from aioecrpublic.push.attached import AttachedPush, Pushed, as_attachable
from aioecrpublic.push.blobs import LayerInput, name_of, open_blob
from aioecrpublic.push.budget import MemoryBudget, budget_of
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.events import Emitter, LayerSkipped
from aioecrpublic.push.image import ImageOptions, ImagePush
from aioecrpublic.push.job import check_names
from aioecrpublic.push.journal import Journal
from aioecrpublic.push.layer import LayerUpload, UploadOptions
from aioecrpublic.push.repository import KnownLayers
from aioecrpublic.push.result import LayerResult, PushResult
from aioecrpublic.push.sizes import check_part_size

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Sequence

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import ImageSource
    from aioecrpublic.push.events import OnEvent
    from aioecrpublic.push.job import ImageJob


class Pusher:
    """What the pushes of one call share."""

    def __init__(self, client: ECRPublicClient, jobs: int, upload: UploadOptions) -> None:
        self._client = client
        self._jobs = jobs
        self._upload = upload
        self._slots = asyncio.Semaphore(jobs)
        self._known: dict[tuple[str, str | None], KnownLayers] = {}

    async def push(
        self,
        job: ImageJob,
        *,
        create_repository: bool,
        include_nondistributable: bool,
        referrers: bool,
        compress: bool | None,
        own_tag: bool = False,
    ) -> PushResult:
        """Push one image, and on request what is attached to it, under its tags or the tag that it has."""
        check_names(self._client, job)
        options = ImageOptions(
            tags=tuple(dict.fromkeys(job.tags)),
            platforms=job.platforms,
            include_nondistributable=include_nondistributable,
            create_repository=create_repository,
            jobs=self._jobs,
        )
        async with open_image(job.source, compress=compress, platforms=job.platforms) as source:
            if own_tag and isinstance(source, SupportsOwnTag) and source.own_tag is not None:
                options = attrs.evolve(options, tags=(source.own_tag,))
            if not referrers:
                return (await self._push_from(source, job, options)).result
            attachable = as_attachable(source)
            image = await self._push_from(source, job, options)

            async def push_single(attached: ImageSource, tags: Sequence[str]) -> Pushed:
                alone = attrs.evolve(options, tags=tuple(tags), platforms=None, create_repository=False)
                return await self._push_from(attached, job, alone)

            return await AttachedPush(attachable, image, push_single).run()

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
        opened = await open_blob(blob, digest, destination.executor)
        try:
            descriptor = opened.descriptor
            if not await destination.has(descriptor.digest):
                name = name_of(blob, descriptor.digest)
                result = await LayerUpload(destination, opened, self._upload, name).run()
                return attrs.evolve(result, retries=result.retries + destination.retries)
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

    def _destination(self, job: ImageJob) -> Destination:
        return Destination(self._client, job.repository_name, job.registry_id)


@asynccontextmanager
async def open_pusher(
    client: ECRPublicClient,
    jobs: int,
    part_size: int | None,
    memory_budget: int | None,
    journal: str | os.PathLike[str] | None,
    on_event: OnEvent | None,
) -> AsyncGenerator[Pusher]:
    """A pusher with checked arguments and, if asked for, an open journal.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    if not _is_count(jobs):
        raise ConfigurationError(f"jobs is {jobs!r}, at least 1")
    for name, size in (("part_size", part_size), ("memory_budget", memory_budget)):
        if size is not None and not _is_count(size):
            raise ConfigurationError(f"{name} must be a number of bytes (got {size!r})")
    if on_event is not None and not callable(on_event):
        raise ConfigurationError(f"on_event must be a callable (got {type(on_event).__name__})")
    budget = budget_of(client) if memory_budget is None else MemoryBudget(memory_budget)
    check_part_size(part_size, budget)
    emitter = Emitter(on_event)
    async with AsyncExitStack() as stack:
        opened = None if journal is None else await stack.enter_async_context(Journal(journal))
        await stack.enter_async_context(emitter.ticking())
        upload = UploadOptions(part_size=part_size, budget=budget, emitter=emitter, journal=opened)
        yield Pusher(client, jobs, upload)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
