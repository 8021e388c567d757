"""A plan carried out: exactly what it shows is deleted, batch by batch, as far as it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic._generated.errors import ImageNotFoundException
from aioecrpublic._generated.types import ImageIdentifier
from aioecrpublic._runtime.errors import ServiceError, TransportError
from aioecrpublic.manage.listing import list_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.prune_plan import PlannedImage, PrunePlan

BATCH = 100
"""Images that one BatchDeleteImage takes (the model's ``ImageIdentifierList``)."""


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


async def execute_prune(client: ECRPublicClient, plan: PrunePlan) -> PruneResult:
    """Delete what a plan shows, and nothing else.

    An image whose tags have changed since the plan was made stays, and is reported. A tag that is set in the
    moment between that look and the deletion goes with its image: the service cannot delete on a condition.

    Args:
        client: An open client.
        plan: What ``plan_prune`` has returned.

    Returns:
        What came of it; images that could not be deleted are in ``failures``, not an error.

    Raises:
        ServiceError: The service refuses to show the first images; nothing was deleted.
    """
    deleted: list[PlannedImage] = []
    failures: list[PruneFailure] = []
    for batch in _batches(plan):
        try:
            now = await _those_of(client, plan.repository_name, batch)
        except (ServiceError, TransportError) as error:
            if not deleted and not failures:
                raise
            failures += _all_failed(batch, error)
            continue
        changed = _changed(batch, now)
        failed = changed + await _delete(client, plan.repository_name, _without(batch, changed))
        failures += failed
        deleted += _without(batch, failed)
    return PruneResult(plan=plan, dry_run=False, deleted=tuple(deleted), failures=tuple(failures))


def _batches(plan: PrunePlan) -> Iterator[Sequence[PlannedImage]]:
    for step in plan.remove:
        for start in range(0, len(step), BATCH):
            yield step[start : start + BATCH]


async def _those_of(
    client: ECRPublicClient, repository_name: str, batch: Sequence[PlannedImage]
) -> Mapping[str, ImageDetail]:
    """What the repository has of a batch, by digest."""
    try:
        response = await client.describe_images(
            repository_name=repository_name, image_ids=_identifiers(batch)
        )
    except ImageNotFoundException:
        # Which one it is, it does not say.
        return await list_images(client, repository_name)
    return {str(image.image_digest): image for image in response.image_details}


def _changed(batch: Sequence[PlannedImage], now: Mapping[str, ImageDetail]) -> list[PruneFailure]:
    """The images that are not what the plan shows, by what there is now."""
    failures = []
    for image in batch:
        there = now.get(image.digest)
        if there is None or sorted(there.image_tags) != sorted(image.tags):
            what = "it is gone" if there is None else "it has other tags now"
            failures.append(PruneFailure(image=image, code="ChangedSincePlan", reason=what))
    return failures


def _without(batch: Sequence[PlannedImage], failures: Sequence[PruneFailure]) -> list[PlannedImage]:
    failed = {failure.image.digest for failure in failures}
    return [image for image in batch if image.digest not in failed]


def _identifiers(batch: Sequence[PlannedImage]) -> list[ImageIdentifier]:
    return [ImageIdentifier(image_digest=image.digest) for image in batch]


def _all_failed(batch: Sequence[PlannedImage], error: ServiceError | TransportError) -> list[PruneFailure]:
    """What came before is done and has to be reported; so the rest is reported too, image by image."""
    code = error.code if isinstance(error, ServiceError) else type(error).__name__
    return [PruneFailure(image=image, code=code or "", reason=str(error)) for image in batch]


async def _delete(
    client: ECRPublicClient, repository_name: str, batch: Sequence[PlannedImage]
) -> list[PruneFailure]:
    if not batch:
        return []
    try:
        response = await client.batch_delete_image(
            repository_name=repository_name, image_ids=_identifiers(batch)
        )
    except (ServiceError, TransportError) as error:
        return _all_failed(batch, error)
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
