"""What rules make of a whole repository: what goes, in which order, and what stays, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic.manage.prune_rules import goes_with_owners, judge

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

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
        belongs_to: The digests of the images that it belongs to: indexes that list it, and what it is
            attached to, even if that is not in the repository. It goes only when none of them is there.
    """

    digest: str
    tags: tuple[str, ...]
    size: int
    pushed_at: dt.datetime | None
    reason: str
    belongs_to: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class PrunePlan:
    """What goes and what stays.

    Attributes:
        repository_name: The repository.
        registry_id: The account that it belongs to; ``None`` if it has no images.
        planned_at: The time by the service's clock from which ages were counted; ``None`` if no reply has
            told it, and then no rule was about ages.
        remove: What goes, in the order in which it goes: in each step what nothing left refers to.
        keep: What stays.
    """

    repository_name: str
    registry_id: str | None = None
    planned_at: dt.datetime | None = None
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
    belongs_to: Mapping[str, AbstractSet[str]],
    rules: PruneRules,
    now: dt.datetime | None,
) -> PrunePlan:
    """Apply the rules.

    Args:
        repository_name: The repository.
        images: Its images, by digest.
        belongs_to: The digests of what each image belongs to, in the repository or not.
        rules: What goes.
        now: What ages are counted from; while it is not known, nothing is older than anything.
    """
    owned = _owned(images, belongs_to)
    belonging = {part for parts in owned.values() for part in parts}
    dependent = {digest for digest in belonging if goes_with_owners(images[digest], rules)}
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
    steps = list(_steps(images.keys() - staying, owned))
    removed = {digest for step in steps for digest in step}
    for digest in images.keys() - staying - removed:
        reasons[digest] = "belongs to images that belong to each other"
    planned = {
        digest: _planned(image, reasons[digest], belongs_to[digest]) for digest, image in images.items()
    }
    return PrunePlan(
        repository_name=repository_name,
        registry_id=next((image.registry_id for image in images.values()), None),
        planned_at=now,
        remove=tuple(tuple(planned[digest] for digest in step) for step in steps),
        keep=tuple(planned[digest] for digest in images if digest not in removed),
    )


def _owned(
    images: Mapping[str, ImageDetail], belongs_to: Mapping[str, AbstractSet[str]]
) -> dict[str, set[str]]:
    """Return what belongs to each image of the repository."""
    owned: dict[str, set[str]] = {digest: set() for digest in images}
    for part, owners in belongs_to.items():
        for owner in owners & images.keys():
            owned[owner].add(part)
    return owned


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


def _steps(going: AbstractSet[str], owned: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield what goes, step by step, each image after all that it belongs to.

    A circle, which tags can make, has no first. It is left out, with all that belongs to it.
    """
    waiting_for = dict.fromkeys(going, 0)
    for owner in going:
        for part in owned[owner] & going:
            waiting_for[part] += 1
    step = sorted(digest for digest, count in waiting_for.items() if not count)
    while step:
        yield step
        freed = []
        for owner in step:
            for part in owned[owner] & going:
                waiting_for[part] -= 1
                if not waiting_for[part]:
                    freed.append(part)
        step = sorted(freed)


def _planned(image: ImageDetail, reason: str, belongs_to: AbstractSet[str]) -> PlannedImage:
    return PlannedImage(
        digest=str(image.image_digest),
        tags=tuple(image.image_tags),
        size=image.image_size_in_bytes or 0,
        pushed_at=image.image_pushed_at,
        reason=reason,
        belongs_to=tuple(sorted(belongs_to)),
    )
