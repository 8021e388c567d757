"""Which images go: the rules, and what they say of one image by itself."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import IMAGE_MANIFESTS, INDEXES, SCHEMA_1
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic._generated.types import ImageDetail

# A manifest of another type may list others or be attached to one. Schema 1 has no way to say so.
_UNDERSTOOD = INDEXES | IMAGE_MANIFESTS | SCHEMA_1
_ATTACHED_TAG = re.compile(r"(sha256)-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")


def _patterns(value: Iterable[str]) -> tuple[str, ...]:
    given: object = value
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        patterns = tuple(given)
        if all(isinstance(pattern, str) for pattern in patterns):
            return patterns
    raise ConfigurationError(f"tag patterns must be a list of strings (got {given!r})")


@attrs.frozen(kw_only=True)
class PruneRules:
    """Which images go. An image goes if every rule that is given says so, and nothing protects it.

    What belongs to another image, because an index lists it or because it is attached to it (as its subject,
    or by cosign's tags), stays as long as one that it belongs to does. If it has no tag of its own, it is not
    judged by itself, but goes with the last of them. An image of an unknown media type stays, for nobody can
    say what it belongs to.

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
        count: object = self.keep_newest
        age: object = self.older_than
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise ConfigurationError(f"keep_newest must be a number of images (got {count!r})")
        if age is not None and (not isinstance(age, dt.timedelta) or age < dt.timedelta()):
            raise ConfigurationError(f"older_than must be a timedelta of at least 0 (got {age!r})")
        if self.untagged_only and self.remove_tags:
            raise ConfigurationError("untagged_only and remove_tags contradict each other")
        if count is None and age is None and not self.untagged_only and not self.remove_tags:
            raise ConfigurationError(
                "rules that remove everything: give one of keep_newest, older_than, "
                "untagged_only and remove_tags"
            )


def judge(image: ImageDetail, rules: PruneRules, now: dt.datetime | None) -> tuple[bool, str]:
    """Whether the rules let an image go, all but ``keep_newest``, and why or why not."""
    stays = _by_type(image) or _by_tags(image, rules) or _by_time(image, rules, now)
    return (False, stays) if stays else (True, " and ".join(_why_it_goes(image, rules)))


def _by_type(image: ImageDetail) -> str | None:
    """Why an image stays for its media type, if it does."""
    media_type = image.image_manifest_media_type
    if media_type in _UNDERSTOOD:
        return None
    return f"has the media type {media_type}, which does not say what the image belongs to"


def _by_tags(image: ImageDetail, rules: PruneRules) -> str | None:
    """Why an image stays for its tags, if it does."""
    tags = image.image_tags
    kept = next((tag for tag in tags if _matches(tag, rules.keep_tags)), None)
    if kept is not None:
        return f"the tag {kept} is to be kept"
    if rules.untagged_only and tags:
        return "has a tag"
    if rules.remove_tags and not tags:
        return "has no tag"
    other = next((tag for tag in tags if rules.remove_tags and not _matches(tag, rules.remove_tags)), None)
    return None if other is None else f"the tag {other} is not to be removed"


def _by_time(image: ImageDetail, rules: PruneRules, now: dt.datetime | None) -> str | None:
    """Why an image stays for the time of its push, if it does."""
    pushed = image.image_pushed_at
    if rules.older_than is not None and (now is None or pushed is None or now - pushed <= rules.older_than):
        return f"is not older than {rules.older_than}"
    if rules.keep_newest is not None and pushed is None:
        return "does not say when it was pushed"
    return None


def _why_it_goes(image: ImageDetail, rules: PruneRules) -> Iterator[str]:
    if rules.untagged_only:
        yield "has no tag"
    if rules.remove_tags:
        yield f"is tagged {', '.join(image.image_tags)}"
    if rules.older_than is not None:
        yield f"is older than {rules.older_than}"
    if rules.keep_newest is not None:
        yield f"is not one of the newest {rules.keep_newest}"


def goes_with_owners(image: ImageDetail, rules: PruneRules) -> bool:
    """Whether an image that belongs to others is not judged by itself.

    Its only tags are then those by which cosign attaches it to another.
    """
    return image.image_manifest_media_type in _UNDERSTOOD and all(
        subject_of_tag(tag) and not _matches(tag, rules.keep_tags) for tag in image.image_tags
    )


def _matches(tag: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


def subject_of_tag(tag: str) -> str | None:
    """The digest that cosign has made a tag of, or the referrers' tag schema; ``None`` of any other tag."""
    match = _ATTACHED_TAG.fullmatch(tag)
    return f"{match[1]}:{match[2]}" if match else None
