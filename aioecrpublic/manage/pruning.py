"""Lifecycle rules, which the service does not have: a plan first, then exactly what it shows."""

from __future__ import annotations

import asyncio
import datetime as dt
import fnmatch
import re
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._generated.types import ImageDetail, ImageIdentifier
from aioecrpublic._runtime.errors import ConfigurationError, ServiceError, TransportError
from aioecrpublic.images import Descriptor
from aioecrpublic.images.manifest import parse_manifest
from aioecrpublic.images.mediatypes import IMAGE_MANIFESTS, INDEXES
from aioecrpublic.manage.reading import manifest_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.reading import ReadManifest

BATCH = 100
"""Images that one BatchDeleteImage takes (the model's ``ImageIdentifierList``)."""
_CONCURRENT_READS = 4
_ATTACHED_TAG = re.compile(r"(sha256)-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")


def _patterns(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ConfigurationError(f"the tag patterns {value!r} are a string, not a list of strings")
    return tuple(value)


@attrs.frozen(kw_only=True)
class PruneRules:
    """Which images go. An image goes if every rule that is given says so, and nothing protects it.

    What belongs to another image, because an index lists it or because it is attached to it (as its subject,
    or by cosign's tags), stays as long as one that it belongs to does. If it has no tag of its own, it is not
    judged by itself, but goes with the last of them.

    Attributes:
        keep_newest: Keep so many of those that would otherwise go, the most recently pushed.
        older_than: Only images that were pushed longer ago than this.
        untagged_only: Only images without a tag.
        remove_tags: Only images of whose tags every one matches one of these patterns, as a shell matches:
            ``["nightly-*"]``; those without a tag stay.
        keep_tags: Never an image one of whose tags matches one of these patterns.
    """

    keep_newest: int | None = None
    older_than: dt.timedelta | None = None
    untagged_only: bool = False
    remove_tags: tuple[str, ...] = attrs.field(default=(), converter=_patterns)
    keep_tags: tuple[str, ...] = attrs.field(default=(), converter=_patterns)

    def __attrs_post_init__(self) -> None:
        count = self.keep_newest
        if count is not None and count < 0:
            raise ConfigurationError(f"keep_newest is {count!r}, not a number of images")
        if self.older_than is not None and self.older_than < dt.timedelta():
            raise ConfigurationError(f"older_than is {self.older_than}, less than nothing")
        if self.untagged_only and self.remove_tags:
            raise ConfigurationError("untagged_only and remove_tags contradict each other")
        if count is None and self.older_than is None and not self.untagged_only and not self.remove_tags:
            raise ConfigurationError(
                "rules that remove everything: give one of keep_newest, older_than, "
                "untagged_only and remove_tags"
            )


@attrs.frozen(kw_only=True)
class PlannedImage:
    """An image and what becomes of it.

    Attributes:
        digest: Its digest.
        tags: Its tags.
        size: Its size in bytes, as DescribeImages says it; layers that images share count for each.
        pushed_at: When it was pushed.
        reason: Why it goes, or stays.
    """

    digest: str
    tags: tuple[str, ...]
    size: int
    pushed_at: dt.datetime | None
    reason: str


@attrs.frozen(kw_only=True)
class PrunePlan:
    """What goes and what stays.

    Attributes:
        repository_name: The repository.
        remove: What goes, in the order in which it goes: in each step what nothing left refers to.
        keep: What stays.
    """

    repository_name: str
    remove: tuple[tuple[PlannedImage, ...], ...]
    keep: tuple[PlannedImage, ...]

    @property
    def images(self) -> tuple[PlannedImage, ...]:
        """All that goes."""
        return tuple(image for step in self.remove for image in step)

    @property
    def bytes(self) -> int:
        """The sum of the sizes of what goes; as layers are shared, less may become free."""
        return sum(image.size for image in self.images)


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

    Indexes and untagged images are read from the registry's Docker side, to know what belongs to what.

    Args:
        client: An open client.
        repository_name: The repository's name, of the caller's registry.
        rules: What goes.
        dry_run: Whether to leave it at the plan.
        registry_url: Where images are pulled from, such as ``LocalECRPublic.registry_url``; needed with an
            endpoint that is not AWS's.
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
    read = read_manifest or await manifest_reader(client, repository_name, registry_url)
    images = await _images(client, repository_name)
    owned = await _belongings(images, read)
    return _decide(repository_name, images, owned, rules, _now())


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

    readable = INDEXES | IMAGE_MANIFESTS
    try:
        async with asyncio.TaskGroup() as group:
            for digest, image in images.items():
                media_type = image.image_manifest_media_type
                if media_type in INDEXES or (media_type in readable and not image.image_tags):
                    group.create_task(look(digest, image))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    for digest, image in images.items():
        for tag in image.image_tags:
            match = _ATTACHED_TAG.fullmatch(tag)
            if match and (subject := f"{match[1]}:{match[2]}") in images:
                owned[subject].add(digest)
    return owned


def _decide(
    repository_name: str,
    images: Mapping[str, ImageDetail],
    owned: Mapping[str, set[str]],
    rules: PruneRules,
    now: dt.datetime,
) -> PrunePlan:
    belonging = {part for parts in owned.values() for part in parts}
    dependent = {digest for digest in belonging if not _own_tags(images[digest], rules)}
    judged = {
        digest: _judge(image, rules, now) for digest, image in images.items() if digest not in dependent
    }
    going = sorted((digest for digest, (goes, _) in judged.items() if goes), key=lambda it: _age(images[it]))
    reasons = {digest: reason for digest, (_, reason) in judged.items()}
    newest = going[: rules.keep_newest or 0]
    reasons |= dict.fromkeys(newest, f"is one of the newest {rules.keep_newest}")
    staying = {digest for digest, (goes, _) in judged.items() if not goes} | set(newest)
    # What belongs only to itself in a circle of tags belongs to nobody, and nobody asked for it to go.
    for digest in images.keys() - set(_closure(judged, owned)):
        staying.add(digest)
        reasons[digest] = "belongs to nothing that the rules judge"
    for owner, part in _pairs(staying, owned):
        if part not in staying:
            staying.add(part)
            reasons[part] = f"belongs to {owner}, which stays"
    for owner, part in _pairs(set(going) - staying, owned):
        if part not in staying and part in dependent:
            reasons[part] = f"belongs to {owner}, which goes"
    planned = {digest: _planned(image, reasons[digest]) for digest, image in images.items()}
    removed = images.keys() - staying
    return PrunePlan(
        repository_name=repository_name,
        remove=tuple(tuple(planned[digest] for digest in step) for step in _steps(removed, owned)),
        keep=tuple(planned[digest] for digest in images if digest in staying),
    )


def _judge(image: ImageDetail, rules: PruneRules, now: dt.datetime) -> tuple[bool, str]:
    """Whether the rules let an image go, all but ``keep_newest``, and why or why not."""
    kept = next((tag for tag in image.image_tags if _matches(tag, rules.keep_tags)), None)
    if kept is not None:
        return False, f"the tag {kept} is to be kept"
    reasons = []
    if rules.untagged_only:
        if image.image_tags:
            return False, "has a tag"
        reasons.append("has no tag")
    if rules.remove_tags:
        if not image.image_tags:
            return False, "has no tag"
        other = next((tag for tag in image.image_tags if not _matches(tag, rules.remove_tags)), None)
        if other is not None:
            return False, f"the tag {other} is not to be removed"
        reasons.append(f"is tagged {', '.join(image.image_tags)}")
    if rules.older_than is not None:
        if image.image_pushed_at is None or now - image.image_pushed_at <= rules.older_than:
            return False, f"is not older than {rules.older_than}"
        reasons.append(f"is older than {rules.older_than}")
    if rules.keep_newest is not None:
        reasons.append(f"is not one of the newest {rules.keep_newest}")
    return True, " and ".join(reasons)


def _own_tags(image: ImageDetail, rules: PruneRules) -> list[str]:
    """The tags that are not just cosign's way of attaching it to another."""
    return [
        tag for tag in image.image_tags if not _ATTACHED_TAG.fullmatch(tag) or _matches(tag, rules.keep_tags)
    ]


def _matches(tag: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


def _age(image: ImageDetail) -> tuple[float, str]:
    """The newest first; the digest only makes it the same order every time."""
    pushed = image.image_pushed_at
    return (-pushed.timestamp() if pushed else 0.0, str(image.image_digest))


def _closure(roots: Iterable[str], owned: Mapping[str, set[str]]) -> Iterator[str]:
    yield from (seen := set(roots))
    for _, part in _pairs(seen, owned):
        yield part


def _pairs(roots: Iterable[str], owned: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Owner and part, for everything that belongs to the roots, directly or not."""
    waiting = sorted(roots)
    seen = set(waiting)
    while waiting:
        owner = waiting.pop()
        for part in sorted(owned[owner]):
            yield owner, part
            if part not in seen:
                seen.add(part)
                waiting.append(part)


def _steps(removed: Iterable[str], owned: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """What goes, step by step: an index before what it lists, for the service keeps that until then."""
    left = set(removed)
    while left:
        held = {part for owner in left for part in owned[owner]}
        # A circle, which tags can make, has no first; then all of it is one step.
        step = left - held or left
        yield sorted(step)
        left -= step


def _planned(image: ImageDetail, reason: str) -> PlannedImage:
    return PlannedImage(
        digest=str(image.image_digest),
        tags=tuple(image.image_tags),
        size=image.image_size_in_bytes or 0,
        pushed_at=image.image_pushed_at,
        reason=reason,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
