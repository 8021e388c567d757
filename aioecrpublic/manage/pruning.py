"""Lifecycle rules, which the service does not have: a plan first, then exactly what it shows."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from aioecrpublic.images import Descriptor
from aioecrpublic.images.manifest import parse_manifest
from aioecrpublic.images.mediatypes import DOCKER_CONFIG, IMAGE_MANIFESTS, INDEXES, OCI_CONFIG
from aioecrpublic.images.threads import map_bounded
from aioecrpublic.manage.listing import list_images
from aioecrpublic.manage.prune_execution import PruneResult, execute_prune
from aioecrpublic.manage.prune_plan import PrunePlan, decide
from aioecrpublic.manage.prune_rules import subject_of_tag
from aioecrpublic.manage.reading import manifest_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.prune_rules import PruneRules
    from aioecrpublic.manage.reading import ReadManifest

_CONCURRENT_READS = 4


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
        images = await list_images(client, repository_name)
        owned = await _belongings(images, read)
    return decide(repository_name, images, owned, rules, _now())


def _may_refer(image: ImageDetail) -> bool:
    """Whether an image may list or be attached to others: not one that is tagged and made to be run."""
    if image.image_manifest_media_type in INDEXES:
        return True
    runs = image.image_tags and image.artifact_media_type in {None, OCI_CONFIG, DOCKER_CONFIG}
    return image.image_manifest_media_type in IMAGE_MANIFESTS and not runs


async def _belongings(images: Mapping[str, ImageDetail], read: ReadManifest) -> dict[str, set[str]]:
    """What belongs to each image: what an index lists, and what is attached to an image."""
    owned: dict[str, set[str]] = {digest: set() for digest in images}

    async def look(image: ImageDetail) -> None:
        digest = str(image.image_digest)
        raw = await read(digest)
        media_type = str(image.image_manifest_media_type)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(raw))
        manifest = await asyncio.to_thread(parse_manifest, raw, descriptor, f"manifest {digest}")
        owned[digest].update(child.digest for child in manifest.manifests if child.digest in images)
        if manifest.subject is not None and manifest.subject.digest in images:
            owned[manifest.subject.digest].add(digest)

    await map_bounded(look, [*filter(_may_refer, images.values())], limit=_CONCURRENT_READS)
    for digest, image in images.items():
        for subject in filter(None, map(subject_of_tag, image.image_tags)):
            if subject in images:
                owned[subject].add(digest)
    return owned


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
