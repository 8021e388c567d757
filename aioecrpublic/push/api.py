"""The functions that push: one image, many images, one layer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioecrpublic._common.text import printable
from aioecrpublic._runtime.errors import ValidationError
from aioecrpublic.images.threads import map_bounded
from aioecrpublic.push.job import ImageJob, check_names, name_of_source
from aioecrpublic.push.pusher import open_pusher
from aioecrpublic.push.result import PushResult
from aioecrpublic.push.tasks import single_error

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import ImageSource
    from aioecrpublic.push.blobs import LayerInput
    from aioecrpublic.push.events import OnEvent
    from aioecrpublic.push.result import LayerResult

DEFAULT_JOBS = 4
# Names of images that are checked before others have a turn on the event loop; 25 microseconds each.
_CHECKED_AT_ONCE = 50


async def push_image(
    client: ECRPublicClient,
    source: ImageSource | str | os.PathLike[str],
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
    compress: bool | None = None,
) -> PushResult:
    """Push an image: what the repository lacks of it, byte for byte, then its manifests, then its tags.

    Only bytes that the repository does not have are sent. They are those of the source, but for what ``docker
    save`` leaves uncompressed (see ``compress``). Whatever fails on the way is mended at the smallest
    scope; what cannot be mended ends in one error, and a push that is made again goes on from there.

    Args:
        client: An open client.
        source: An ``ImageSource``, which is closed afterwards unless it was entered before, or a string that
            ``open_image`` understands: ``oci:DIR[:ref]``, ``oci-archive:FILE[:ref]``,
            ``docker-archive:FILE[:ref]``, ``dir:DIR``, ``docker://HOST/REPO:TAG``, a path, or ``-`` for an
            archive on standard input.
        repository_name: The repository's name, without registry or tag.
        tags: The tags that the image gets; without one it is known by its digest alone. ``None`` is the tag
            that it has in an archive, if that is exactly one, and an empty list is none.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        jobs: Layers in flight.
        part_size: Bytes of a part, from 5 to 20 MiB; ``None`` is what the service asks for.
        platforms: The platforms of an index that are wanted, such as ``["linux/amd64"]``; ``None`` is the
            whole index, byte for byte.
        create_repository: Make the repository if it is not there.
        journal: A file that remembers unfinished layers, so that a push that died goes on in their middle; it
            is made, and removed when all is done. A file of another kind is refused and left as it is.
        on_event: Called with every event; an awaitable that it returns is awaited. What is attached to the
            image comes as pushes of their own, after the image's.
        memory_budget: Bytes that parts may take in memory; ``None`` is a budget of 64 MiB that all pushes
            through this client share.
        include_nondistributable: Also push layers that are meant to be fetched from elsewhere.
        referrers: Also push what is attached to the image and to every manifest in it: the manifests that
            refer to it as their subject (OCI distribution specification, "Listing Referrers") and what cosign
            has stored under tags made of its digest; then what is attached to those. What of it cannot be
            read or put is told in the result, and the others go on.
        compress: Whether to compress uncompressed layers by gzip, which takes a temporary file. ``None`` does
            so for archives that Docker has saved, as ``docker push`` would have done, and leaves all other
            sources as they are. What is compressed has another digest than in the source; an image that
            something in the source refers to by its digest, such as a signature, stays as it is.

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
        tags=() if tags is None else tags,
        registry_id=registry_id,
        platforms=platforms,
    )
    pushing = open_pusher(client, jobs, part_size, memory_budget, journal, on_event)
    async with single_error(), pushing as pusher:
        return await pusher.push(
            job,
            create_repository=create_repository,
            include_nondistributable=include_nondistributable,
            referrers=referrers,
            compress=compress,
            own_tag=tags is None,
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
    compress: bool | None = None,
) -> list[PushResult]:
    """Push many images together: they share jobs, memory, pace, and what is known of the repositories.

    A layer that several images have is uploaded once for each repository. The arguments are those of
    ``push_image``; ``jobs`` is for all images together.

    Returns:
        The results, in the order of ``images``.

    Raises:
        ConfigurationError: An argument cannot be used; nothing was pushed.
        ValidationError: A repository's name or a tag cannot be, or two images want the same tag; nothing was
            pushed.
        ExceptionGroup: Some images could not be pushed; the others were. Each error has a note that names its
            image.
    """
    pushing = open_pusher(client, jobs, part_size, memory_budget, journal, on_event)
    async with single_error(), pushing as pusher:

        async def push(job: ImageJob) -> PushResult | Exception:
            try:
                async with single_error():
                    return await pusher.push(
                        job,
                        create_repository=create_repository,
                        include_nondistributable=include_nondistributable,
                        referrers=referrers,
                        compress=compress,
                    )
            except Exception as error:  # noqa: BLE001 - it is raised when the other images are done
                where = f"while pushing {name_of_source(job.source)} to {job.repository_name}"
                error.add_note(printable(where))
                return error

        await _check_all(client, images)
        outcomes = await map_bounded(push, images, limit=jobs)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(images)} images could not be pushed", errors)
    return [outcome for outcome in outcomes if isinstance(outcome, PushResult)]


async def _check_all(client: ECRPublicClient, images: Sequence[ImageJob]) -> None:
    wanted: dict[tuple[str, str | None, str], ImageJob] = {}
    for number, job in enumerate(images, start=1):
        check_names(client, job)
        for tag in job.tags:
            other = wanted.setdefault((job.repository_name, job.registry_id, tag), job)
            images_of_tag = [_described(other), _described(job)]
            if other.source != job.source or images_of_tag[0] != images_of_tag[1]:
                problem = f"tag {tag!r} of {job.repository_name} is for both {' and '.join(images_of_tag)}"
                raise ValidationError("push_images", (problem,))
        if number % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)


def _described(job: ImageJob) -> str:
    """Return the image of a job in words: the source, and the platforms that are wanted of it."""
    wanted = "" if job.platforms is None else f" ({', '.join(sorted(set(job.platforms)))})"
    return f"{name_of_source(job.source)}{wanted}"


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
        journal: A file that remembers the upload if it is not finished. A file of another kind is refused
            and left as it is.
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
    pushing = open_pusher(client, 1, part_size, memory_budget, journal, on_event)
    async with single_error(), pushing as pusher:
        check_names(client, job)
        return await pusher.upload(job, blob, digest)
