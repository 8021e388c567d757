"""Lifecycle rules, which the service does not have: a plan first, then exactly what it shows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from aioecrpublic._common.oci import DOCKER_CONFIG, INDEXES, OCI_CONFIG, OCI_MANIFEST
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
    from collections.abc import Iterable, Mapping

    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.prune_rules import PruneRules
    from aioecrpublic.manage.reading import ReadManifest

_CONCURRENT_READS = 4
# What can list others or have a subject; Docker's manifest of an image can do neither.
_REFERRING = INDEXES | {OCI_MANIFEST}


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

    The manifests of indexes, artifacts, untagged images and of all that goes are read from the registry's
    Docker side, to know what belongs to what. Ages are counted by the service's clock, not by this machine's.

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
        belongings = _Belongings(images, read)
        await belongings.learn(filter(_may_refer, images.values()))
        while True:
            plan = decide(repository_name, images, belongings.belongs_to, rules, now)
            # What was made to be run is hardly attached to anything; before it goes, it is made sure of.
            if not await belongings.learn(images[image.digest] for image in plan.images):
                return plan


def _may_refer(image: ImageDetail) -> bool:
    """Whether an image may well list or be attached to others: not one that is tagged and made to be run."""
    runs = image.image_tags and image.artifact_media_type in {None, OCI_CONFIG, DOCKER_CONFIG}
    return image.image_manifest_media_type in INDEXES or not runs


class _Belongings:
    """What each image of a repository belongs to: the indexes that list it, and what it is attached to.

    Tags say some of it, manifests the rest, and those are read when they are needed.
    """

    def __init__(self, images: Mapping[str, ImageDetail], read: ReadManifest) -> None:
        self._read = read
        self._known: set[str] = set()
        self.belongs_to: dict[str, set[str]] = {
            digest: {subject for tag in image.image_tags if (subject := subject_of_tag(tag))} - {digest}
            for digest, image in images.items()
        }

    async def learn(self, images: Iterable[ImageDetail]) -> bool:
        """Read the manifests of images, each only once; return whether there was one to read."""
        unread = [
            image
            for image in images
            if image.image_manifest_media_type in _REFERRING and image.image_digest not in self._known
        ]
        await map_bounded(self._learn, unread, limit=_CONCURRENT_READS)
        return bool(unread)

    async def _learn(self, image: ImageDetail) -> None:
        digest = str(image.image_digest)
        raw = await self._read(digest)
        media_type = str(image.image_manifest_media_type)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(raw))
        manifest = await asyncio.to_thread(parse_manifest, raw, descriptor, f"manifest {digest}")
        self._known.add(digest)
        for child in manifest.manifests:
            if child.digest in self.belongs_to:
                self.belongs_to[child.digest].add(digest)
        if manifest.subject is not None:
            self.belongs_to[digest].add(manifest.subject.digest)
