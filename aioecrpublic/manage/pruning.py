"""Lifecycle rules, which the service does not have: a plan first, then exactly what it shows."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._generated.types import ImageIdentifier
from aioecrpublic._runtime.errors import ServiceError, TransportError
from aioecrpublic.images import Descriptor
from aioecrpublic.images.manifest import parse_manifest
from aioecrpublic.images.mediatypes import DOCKER_CONFIG, IMAGE_MANIFESTS, INDEXES, OCI_CONFIG
from aioecrpublic.manage.prune_plan import PlannedImage, PrunePlan, decide
from aioecrpublic.manage.prune_rules import subject_of_tag
from aioecrpublic.manage.reading import manifest_reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.prune_rules import PruneRules
    from aioecrpublic.manage.reading import ReadManifest

BATCH = 100
"""Images that one BatchDeleteImage takes (the model's ``ImageIdentifierList``)."""
_CONCURRENT_READS = 4


@attrs.frozen(kw_only=True)
class PruneFailure:
    """An image of the plan that is still there.

    Attributes:
        image: The image.
        code: The service's code, such as ``ImageReferencedByManifestList``, or ``ChangedSincePlan``.
        reason: Why, in words.
    """

    image: PlannedImage
    code: str
    reason: str


@attrs.frozen(kw_only=True)
class PruneResult:
    """What a prune planned and did.

    Attributes:
        plan: The plan.
        dry_run: Whether it was left at that.
        deleted: The images that are gone.
        failures: The images of the plan that are not.
    """

    plan: PrunePlan
    dry_run: bool
    deleted: tuple[PlannedImage, ...] = ()
    failures: tuple[PruneFailure, ...] = ()


async def prune(
    client: ECRPublicClient,
    repository_name: str,
    rules: PruneRules,
    dry_run: bool = True,  # noqa: FBT001, FBT002 - part of the contract
    *,
    registry_url: str | None = None,
    read_manifest: ReadManifest | None = None,
) -> PruneResult:
    """Delete images by rules; without ``dry_run=False`` only say which.

    Indexes, artifacts and untagged images are read from the registry's Docker side, to know what belongs to
    what.

    Args:
        client: An open client.
        repository_name: The repository's name, of the caller's registry.
        rules: What goes.
        dry_run: Whether to leave it at the plan.
        registry_url: Where images are pulled from, such as ``LocalECRPublic.registry_url``; needed with an
            endpoint that is not AWS's, unless the variable ``AIOECRPUBLIC_REGISTRY_URL`` says it.
        read_manifest: What reads a manifest by its digest instead.

    Returns:
        The plan and what came of it; images that could not be deleted are in ``failures``, not an error.

    Raises:
        ConfigurationError: It is not known where images are pulled from.
        ImageError: A manifest cannot be read; nothing was deleted.
        ServiceError: The service refuses to list the images; nothing was deleted.
    """
    plan = await plan_prune(
        client, repository_name, rules, registry_url=registry_url, read_manifest=read_manifest
    )
    if dry_run:
        return PruneResult(plan=plan, dry_run=True)
    return await execute_prune(client, plan)


async def plan_prune(
    client: ECRPublicClient,
    repository_name: str,
    rules: PruneRules,
    *,
    registry_url: str | None = None,
    read_manifest: ReadManifest | None = None,
) -> PrunePlan:
    """Say what ``prune`` would delete; arguments and errors are its own."""
    async with AsyncExitStack() as stack:
        read = read_manifest
        if read is None:
            read = await stack.enter_async_context(manifest_reader(client, repository_name, registry_url))
        images = await _images(client, repository_name)
        owned = await _belongings(images, read)
    return decide(repository_name, images, owned, rules, _now())


async def execute_prune(client: ECRPublicClient, plan: PrunePlan) -> PruneResult:
    """Delete what a plan shows, and nothing else.

    An image whose tags have changed since the plan was made stays, and is reported. A tag that is set in the
    moment between that look and the deletion goes with its image: the service cannot delete on a condition.

    Args:
        client: An open client.
        plan: What ``plan_prune`` has returned.

    Raises:
        ServiceError: The service refuses to list the images; nothing was deleted.
    """
    deleted: list[PlannedImage] = []
    failures: list[PruneFailure] = []
    for step in plan.remove:
        for start in range(0, len(step), BATCH):
            now = await _images(client, plan.repository_name)
            batch = []
            for image in step[start : start + BATCH]:
                there = now.get(image.digest)
                if there is None or sorted(there.image_tags) != sorted(image.tags):
                    what = "it is gone" if there is None else "it has other tags now"
                    failures.append(PruneFailure(image=image, code="ChangedSincePlan", reason=what))
                else:
                    batch.append(image)
            failed = await _delete(client, plan.repository_name, batch)
            failures += failed
            still = {failure.image.digest for failure in failed}
            deleted += [image for image in batch if image.digest not in still]
    return PruneResult(plan=plan, dry_run=False, deleted=tuple(deleted), failures=tuple(failures))


async def _delete(
    client: ECRPublicClient, repository_name: str, batch: Sequence[PlannedImage]
) -> list[PruneFailure]:
    if not batch:
        return []
    identifiers = [ImageIdentifier(image_digest=image.digest) for image in batch]
    try:
        response = await client.batch_delete_image(repository_name=repository_name, image_ids=identifiers)
    except (ServiceError, TransportError) as error:
        # What came before is done and has to be reported; so the rest of it is, image by image.
        code = error.code if isinstance(error, ServiceError) else type(error).__name__
        return [PruneFailure(image=image, code=code or "", reason=str(error)) for image in batch]
    by_digest = {image.digest: image for image in batch}
    return [
        PruneFailure(
            image=by_digest[failure.image_id.image_digest],
            code=str(failure.failure_code),
            reason=failure.failure_reason or "",
        )
        for failure in response.failures
        if failure.image_id is not None and failure.image_id.image_digest in by_digest
    ]


async def _images(client: ECRPublicClient, repository_name: str) -> dict[str, ImageDetail]:
    return {
        str(image.image_digest): image
        async for image in client.paginate_describe_images(repository_name=repository_name)
    }


def _may_refer(image: ImageDetail) -> bool:
    """Whether an image may list or be attached to others: not one that is tagged and made to be run."""
    if image.image_manifest_media_type in INDEXES:
        return True
    runs = image.image_tags and image.artifact_media_type in {None, OCI_CONFIG, DOCKER_CONFIG}
    return image.image_manifest_media_type in IMAGE_MANIFESTS and not runs


async def _belongings(images: Mapping[str, ImageDetail], read: ReadManifest) -> dict[str, set[str]]:
    """What belongs to each image: what an index lists, and what is attached to an image."""
    owned: dict[str, set[str]] = {digest: set() for digest in images}
    turns = asyncio.Semaphore(_CONCURRENT_READS)

    async def look(digest: str, image: ImageDetail) -> None:
        async with turns:
            raw = await read(digest)
        media_type = str(image.image_manifest_media_type)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(raw))
        manifest = await asyncio.to_thread(parse_manifest, raw, descriptor, f"manifest {digest}")
        owned[digest].update(child.digest for child in manifest.manifests if child.digest in images)
        if manifest.subject is not None and manifest.subject.digest in images:
            owned[manifest.subject.digest].add(digest)

    try:
        async with asyncio.TaskGroup() as group:
            for digest, image in images.items():
                if _may_refer(image):
                    group.create_task(look(digest, image))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    for digest, image in images.items():
        for subject in filter(None, map(subject_of_tag, image.image_tags)):
            if subject in images:
                owned[subject].add(digest)
    return owned


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
