"""Lifecycle rules, which the service does not have: a plan first, then exactly what it shows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from aioecrpublic._common.oci import DOCKER_CONFIG, IMAGE_MANIFESTS, INDEXES, OCI_CONFIG
from aioecrpublic._runtime.errors import BrokenReplyError
from aioecrpublic.images import Descriptor
from aioecrpublic.images.manifest import parse_manifest
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
    *,
    apply: bool = False,
    registry_url: str | None = None,
    read_manifest: ReadManifest | None = None,
) -> PruneResult:
    """Delete images by rules; without ``apply=True`` only say which.

    Indexes, artifacts and untagged images are read from the registry's Docker side, to know what belongs to
    what. Ages are counted by the service's clock, not by this machine's.

    Args:
        client: An open client.
        repository_name: The repository's name, of the caller's registry.
        rules: What goes.
        apply: Carry out the plan.
        registry_url: Where images are pulled from, such as ``LocalECRPublic.registry_url``; needed with an
            endpoint that is not AWS's, unless the variable ``AIOECRPUBLIC_REGISTRY_URL`` says it.
        read_manifest: What reads a manifest by its digest instead.

    Returns:
        The plan and what came of it, as ``execute_prune`` says it.

    Raises:
        ConfigurationError: It is not known where images are pulled from.
        BrokenReplyError: There is a rule about ages, and the service's replies do not tell its time.
        ImageError: A manifest cannot be read; nothing was deleted.
        ServiceError: The service refuses to list the images; nothing was deleted.
    """
    plan = await plan_prune(
        client, repository_name, rules, registry_url=registry_url, read_manifest=read_manifest
    )
    return await execute_prune(client, plan) if apply else PruneResult(plan=plan, applied=False)


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
        now = client.service_time()
        if now is None and rules.older_than is not None:
            raise BrokenReplyError(
                "older_than needs the service's time, and no reply had a Date header that tells it"
            )
        belongs_to = await _belongings(images, read)
    return decide(repository_name, images, belongs_to, rules, now)


def _may_refer(image: ImageDetail) -> bool:
    """Whether an image may list or be attached to others: not one that is tagged and made to be run."""
    if image.image_manifest_media_type in INDEXES:
        return True
    runs = image.image_tags and image.artifact_media_type in {None, OCI_CONFIG, DOCKER_CONFIG}
    return image.image_manifest_media_type in IMAGE_MANIFESTS and not runs


async def _belongings(images: Mapping[str, ImageDetail], read: ReadManifest) -> dict[str, set[str]]:
    """Return what each image belongs to: the indexes that list it, and what it is attached to."""
    belongs_to: dict[str, set[str]] = {
        digest: {subject for tag in image.image_tags if (subject := subject_of_tag(tag))}
        for digest, image in images.items()
    }

    async def look(image: ImageDetail) -> None:
        digest = str(image.image_digest)
        raw = await read(digest)
        media_type = str(image.image_manifest_media_type)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(raw))
        manifest = await asyncio.to_thread(parse_manifest, raw, descriptor, f"manifest {digest}")
        for child in manifest.manifests:
            if child.digest in images:
                belongs_to[child.digest].add(digest)
        if manifest.subject is not None:
            belongs_to[digest].add(manifest.subject.digest)

    await map_bounded(look, [*filter(_may_refer, images.values())], limit=_CONCURRENT_READS)
    for digest, owners in belongs_to.items():
        # By a tag, an image can be attached to itself.
        owners.discard(digest)
    return belongs_to
