"""Which images go: the rules, and what they say of one image by itself."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aioecrpublic._generated.types import ImageDetail

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


def judge(image: ImageDetail, rules: PruneRules, now: dt.datetime) -> tuple[bool, str]:
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


def own_tags(image: ImageDetail, rules: PruneRules) -> list[str]:
    """The tags that are not just cosign's way of attaching it to another."""
    return [tag for tag in image.image_tags if not subject_of_tag(tag) or _matches(tag, rules.keep_tags)]


def _matches(tag: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


def subject_of_tag(tag: str) -> str | None:
    """The digest that cosign has made a tag of, or the referrers' tag schema; ``None`` of any other tag."""
    match = _ATTACHED_TAG.fullmatch(tag)
    return f"{match[1]}:{match[2]}" if match else None
