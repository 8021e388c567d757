"""What the rules say of one image, and rules that cannot be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from aioecrpublic.errors import ConfigurationError
from aioecrpublic.manage import PruneRules
from aioecrpublic.manage.prune_plan import decide
from aioecrpublic.manage.prune_rules import judge, subject_of_tag
from aioecrpublic.types import ImageDetail

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(microseconds=1)


def image(number: int = 1, **members: Any) -> ImageDetail:
    given = {"image_manifest_media_type": MANIFEST, "image_pushed_at": NOON, **members}
    return ImageDetail(image_digest=digest(number), **given)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


@pytest.mark.parametrize(
    ("age", "older_than", "goes"),
    [
        (DAY, DAY, False),
        (DAY + MOMENT, DAY, True),
        (DAY - MOMENT, DAY, False),
        (dt.timedelta(), dt.timedelta(), False),
        (MOMENT, dt.timedelta(), True),
        (-DAY, dt.timedelta(), False),
        (10_000 * DAY, dt.timedelta.max, False),
    ],
)
def test_what_is_exactly_as_old_stays(age: dt.timedelta, older_than: dt.timedelta, *, goes: bool) -> None:
    assert judge(image(), PruneRules(older_than=older_than), NOON + age)[0] is goes


def test_what_does_not_say_when_it_was_pushed_stays() -> None:
    unknown = image(image_pushed_at=None)
    for rules in (PruneRules(older_than=DAY), PruneRules(keep_newest=0)):
        assert not judge(unknown, rules, NOON + 100 * DAY)[0]
    assert judge(unknown, PruneRules(untagged_only=True), NOON)[0]


def test_nothing_is_older_than_anything_while_the_time_is_not_known() -> None:
    assert not judge(image(), PruneRules(older_than=dt.timedelta()), None)[0]


@pytest.mark.parametrize("media_type", [None, "application/vnd.oci.artifact.manifest.v1+json", "text/html"])
def test_what_may_belong_to_something_unknown_stays(media_type: str | None) -> None:
    """By itself, and with an index that lists it and goes."""
    index, part = image(1), image(2, image_manifest_media_type=media_type)
    images = {digest(1): index, digest(2): part}
    for owners in (set(), {digest(1)}):
        belongs_to = {digest(1): set[str](), digest(2): owners}
        plan = decide("team/app", images, belongs_to, PruneRules(untagged_only=True), NOON)
        assert [each.digest for each in plan.images] == [digest(1)]
        assert str(media_type) in plan.keep[0].reason


def test_an_image_of_before_the_time_of_indexes_is_judged() -> None:
    old = image(image_manifest_media_type="application/vnd.docker.distribution.manifest.v1+prettyjws")
    assert judge(old, PruneRules(untagged_only=True), NOON)[0]


def test_images_that_belong_to_each_other_stay_with_all_that_belongs_to_them() -> None:
    """Two images, tagged as each other's signature and otherwise too, and what is attached to one."""
    images = {digest(n): image(n, image_tags=[f"n{n}"] if n < 5 else []) for n in range(1, 7)}
    belongs_to = {
        digest(1): {digest(2)},
        digest(2): {digest(1)},
        digest(3): {digest(2)},
        digest(4): set[str](),
        digest(5): {digest(4), digest(6)},
        digest(6): {digest(4)},
    }
    plan = decide("team/app", images, belongs_to, PruneRules(keep_newest=0), NOON)
    assert [[each.digest for each in step] for step in plan.remove] == [[digest(4)], [digest(6)], [digest(5)]]
    assert {each.digest for each in plan.keep} == {digest(1), digest(2), digest(3)}
    assert {each.reason for each in plan.keep} == {"belongs to images that belong to each other"}


def test_images_that_only_belong_to_each_other_stay() -> None:
    images = {digest(n): image(n, image_tags=[f"{digest(3 - n).replace(':', '-')}.sig"]) for n in (1, 2)}
    belongs_to = {digest(1): {digest(2)}, digest(2): {digest(1)}}
    plan = decide("team/app", images, belongs_to, PruneRules(keep_newest=0), NOON)
    assert plan.remove == ()
    assert {each.reason for each in plan.keep} == {"belongs to nothing that the rules judge"}


@pytest.mark.parametrize(
    ("tag", "subject"),
    [
        (f"sha256-{'0' * 64}", f"sha256:{'0' * 64}"),
        (f"sha256-{'a' * 64}.sig", f"sha256:{'a' * 64}"),
        (f"sha256-{'a' * 64}.att", f"sha256:{'a' * 64}"),
        (f"sha256-{'a' * 64}.sbom", f"sha256:{'a' * 64}"),
        (f"sha256-{'a' * 64}.other", None),
        (f"sha256-{'a' * 63}.sig", None),
        (f"sha256-{'A' * 64}.sig", None),
        ("1.0", None),
    ],
)
def test_the_tags_that_attach(tag: str, subject: str | None) -> None:
    assert subject_of_tag(tag) == subject


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, "rules that remove everything"),
        ({"keep_tags": ["1.*"]}, "rules that remove everything"),
        ({"keep_newest": -1}, "keep_newest must be a number of images"),
        ({"keep_newest": "5"}, "keep_newest must be a number of images"),
        ({"keep_newest": True}, "keep_newest must be a number of images"),
        ({"keep_newest": 1.5}, "keep_newest must be a number of images"),
        ({"older_than": dt.timedelta(days=-1)}, "older_than must be a timedelta of at least 0"),
        ({"older_than": 30}, "older_than must be a timedelta of at least 0"),
        ({"untagged_only": True, "remove_tags": ["x"]}, "contradict"),
        ({"remove_tags": "nightly"}, "must be a list of strings"),
        ({"remove_tags": b"nightly"}, "must be a list of strings"),
        ({"remove_tags": None}, "must be a list of strings"),
        ({"keep_newest": 0, "keep_tags": [1]}, "must be a list of strings"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        PruneRules(**rules)
