"""A plan carried out: look, delete a batch of what it shows as far as that is still right, and look again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._generated.types import ImageIdentifier
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.manage.listing import list_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aioecrpublic._generated.types import BatchDeleteImageResponse, ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.prune_plan import PlannedImage, PrunePlan

BATCH = 100
"""Image identifiers that one BatchDeleteImage takes (the model's ``ImageIdentifierList``)."""

CHANGED = "ChangedSincePlan"
"""The code of an image that is not what the plan shows any more."""
REQUIRED = "RequiredByRemainingImage"
"""The code of an image that belongs to one which is still there."""
NO_EFFECT = "NotDeleted"
"""The code of an image that is there as before, though the service has not refused to delete it."""


@attrs.frozen(kw_only=True)
class PruneFailure:
    """An image of the plan that was not, or perhaps not, deleted.

    Attributes:
        image: The image.
        code: The service's code, such as ``ImageReferencedByManifestList``; the name of an exception such as
            ``ConnectError``; ``ChangedSincePlan``, ``RequiredByRemainingImage`` or ``NotDeleted``.
        reason: Why, in words.
    """

    image: PlannedImage
    code: str
    reason: str


@attrs.frozen(kw_only=True)
class PruneResult:
    """What a prune planned and did; of a plan carried out, each image is in one of the four lists.

    Attributes:
        plan: The plan.
        applied: Whether it was carried out.
        deleted: The images that were there and, after their deletion was asked for, are gone.
        missing: The images that were gone already, such as those of a plan that is carried out again.
        failures: The images that are still there.
        unconfirmed: The images of which it is not known whether they are gone: the service has not confirmed
            their deletion, and the look after it has failed.
    """

    plan: PrunePlan
    applied: bool
    deleted: tuple[PlannedImage, ...] = ()
    missing: tuple[PlannedImage, ...] = ()
    failures: tuple[PruneFailure, ...] = ()
    unconfirmed: tuple[PruneFailure, ...] = ()


async def execute_prune(client: ECRPublicClient, plan: PrunePlan) -> PruneResult:
    """Delete what a plan shows, and nothing else.

    Before and after each batch the repository is looked at. An image stays, and is reported, if its tags have
    changed or it was pushed again since the plan was made, or if one that it belongs to is still there. A tag
    that an image with tags gets in the moment between look and deletion saves the image; one without tags
    goes all the same, as the service cannot delete it on a condition.

    Args:
        client: An open client.
        plan: What ``plan_prune`` has returned. It is carried out in its own repository and account, whoever
            the client belongs to.

    Returns:
        What came of it, by what the repository showed afterwards; that images could not be deleted is no
        error. If the service stops answering, what is left is not tried.

    Raises:
        ECRPublicError: The service refuses to show the images; nothing was deleted.
    """
    execution = _Execution(client, plan)
    if plan.images:
        await execution.run()
    return execution.result()


@attrs.frozen
class _Outcome:
    """What came of asking for the deletion of a batch.

    Attributes:
        confirmed: The digests of images that the service has certainly deleted.
        problems: Code and reason, by the digest of each image with which something was wrong.
    """

    confirmed: frozenset[str]
    problems: Mapping[str, tuple[str, str]]


class _Execution:
    def __init__(self, client: ECRPublicClient, plan: PrunePlan) -> None:
        self._client = client
        self._plan = plan
        self._deleted: list[PlannedImage] = []
        self._missing: list[PlannedImage] = []
        self._failures: list[PruneFailure] = []
        self._unconfirmed: list[PruneFailure] = []

    def result(self) -> PruneResult:
        return PruneResult(
            plan=self._plan,
            applied=True,
            deleted=tuple(self._deleted),
            missing=tuple(self._missing),
            failures=tuple(self._failures),
            unconfirmed=tuple(self._unconfirmed),
        )

    async def run(self) -> None:
        batches = _batches(self._plan)
        there = await self._look()
        for planned in batches:
            batch = self._still_right(planned, there)
            if not batch:
                continue
            outcome = await self._delete(batch)
            try:
                there = await self._look()
            except ECRPublicError as error:
                self._report_unseen(batch, outcome, error)
                for untried in batches:
                    self._report_untried(untried, there, error)
                return
            self._report(batch, outcome, there)

    async def _look(self) -> Mapping[str, ImageDetail]:
        return await list_images(self._client, self._plan.repository_name, self._plan.registry_id)

    def _still_right(
        self, planned: Sequence[PlannedImage], there: Mapping[str, ImageDetail]
    ) -> list[PlannedImage]:
        """Return those that are as the plan shows them and belong to nothing that is there."""
        right = []
        for image in planned:
            found = there.get(image.digest)
            owner = next((owner for owner in image.belongs_to if owner in there), None)
            if found is None:
                self._missing.append(image)
            elif change := _change(image, found):
                self._fail(image, CHANGED, change)
            elif owner is not None:
                self._fail(image, REQUIRED, f"it belongs to {owner}, which is there")
            else:
                right.append(image)
        return right

    async def _delete(self, batch: Sequence[PlannedImage]) -> _Outcome:
        asked = {image.digest: _identifiers(image) for image in batch}
        try:
            response = await self._client.batch_delete_image(
                repository_name=self._plan.repository_name,
                registry_id=self._plan.registry_id,
                image_ids=[identifier for identifiers in asked.values() for identifier in identifiers],
            )
        except ECRPublicError as error:
            return _Outcome(frozenset(), dict.fromkeys(asked, _code_and_reason(error)))
        return _outcome(asked, response)

    def _report(
        self, batch: Sequence[PlannedImage], outcome: _Outcome, there: Mapping[str, ImageDetail]
    ) -> None:
        """Report what is seen after the deletion."""
        for image in batch:
            found = there.get(image.digest)
            if found is None:
                self._deleted.append(image)
                continue
            change = _change(image, found)
            nothing_said = (CHANGED, "") if change else (NO_EFFECT, "it is there as before")
            code, reason = outcome.problems.get(image.digest, nothing_said)
            self._fail(image, code, "; ".join(filter(None, (reason, change))))

    def _report_unseen(self, batch: Sequence[PlannedImage], outcome: _Outcome, error: ECRPublicError) -> None:
        """Report a batch that could not be looked at after its deletion was asked for."""
        for image in batch:
            if image.digest in outcome.confirmed:
                self._deleted.append(image)
                continue
            code, reason = outcome.problems.get(image.digest, _code_and_reason(error))
            self._unconfirmed.append(PruneFailure(image=image, code=code, reason=reason))

    def _report_untried(
        self, planned: Sequence[PlannedImage], there: Mapping[str, ImageDetail], error: ECRPublicError
    ) -> None:
        """Report what was never asked for, by the last look that there was."""
        code, reason = _code_and_reason(error)
        for image in planned:
            if image.digest in there:
                self._fail(image, code, f"not tried: {reason}")
            else:
                self._missing.append(image)

    def _fail(self, image: PlannedImage, code: str, reason: str) -> None:
        self._failures.append(PruneFailure(image=image, code=code, reason=reason))


def _batches(plan: PrunePlan) -> Iterator[Sequence[PlannedImage]]:
    """Yield the images of each step in lists that one call can delete."""
    for step in plan.remove:
        batch: list[PlannedImage] = []
        size = 0
        for image in step:
            more = len(_identifiers(image))
            if size + more > BATCH:
                yield batch
                batch, size = [], 0
            batch.append(image)
            size += more
        if batch:
            yield batch


def _identifiers(image: PlannedImage) -> list[ImageIdentifier]:
    """Return what deletes an image: all its tags, if it has some.

    By a tag and a digest the service removes the tag if it still points there, and the image with its last
    tag (API reference, BatchDeleteImage). By its digest alone an image goes with whatever tags it has.
    """
    if not 0 < len(image.tags) <= BATCH:
        return [ImageIdentifier(image_digest=image.digest)]
    return [ImageIdentifier(image_digest=image.digest, image_tag=tag) for tag in image.tags]


def _change(image: PlannedImage, found: ImageDetail) -> str:
    """Return how an image that is there differs from the plan; nothing if it does not."""
    if found.image_pushed_at != image.pushed_at:
        return f"it was pushed again at {found.image_pushed_at}"
    tags = sorted(found.image_tags)
    if tags == sorted(image.tags):
        return ""
    return f"its tags are {', '.join(tags) or 'none'} now, they were {', '.join(image.tags) or 'none'}"


def _outcome(asked: Mapping[str, Sequence[ImageIdentifier]], response: BatchDeleteImageResponse) -> _Outcome:
    problems: dict[str, tuple[str, str]] = {}
    for failure in response.failures:
        digest = failure.image_id.image_digest if failure.image_id is not None else None
        if digest is not None and digest in asked:
            problems.setdefault(digest, (str(failure.failure_code), failure.failure_reason or ""))
    done = {identifier.image_digest for identifier in response.image_ids}
    # That the tags asked for are removed is no proof that the image went with them: it may have got another.
    by_digest = {digest for digest, identifiers in asked.items() if identifiers[0].image_tag is None}
    return _Outcome(frozenset(by_digest & done - problems.keys()), problems)


def _code_and_reason(error: ECRPublicError) -> tuple[str, str]:
    code = error.code if isinstance(error, ServiceError) else ""
    return code or type(error).__name__, str(error)
