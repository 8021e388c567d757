"""What rules make of a whole repository: what goes, in which order, and what stays, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic.manage.prune_rules import judge, own_tags

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.manage.prune_rules import PruneRules


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


def decide(
    repository_name: str,
    images: Mapping[str, ImageDetail],
    owned: Mapping[str, set[str]],
    rules: PruneRules,
    now: dt.datetime,
) -> PrunePlan:
    """Apply the rules.

    Args:
        repository_name: The repository.
        images: Its images, by digest.
        owned: The digests of what belongs to each image.
        rules: What goes.
        now: What ages are counted from.
    """
    belonging = {part for parts in owned.values() for part in parts}
    dependent = {digest for digest in belonging if not own_tags(images[digest], rules)}
    judged = {digest: judge(image, rules, now) for digest, image in images.items() if digest not in dependent}
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
