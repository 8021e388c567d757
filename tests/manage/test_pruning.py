"""Lifecycle rules over a repository of images, indexes, and what is attached to them."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic._common.oci import DOCKER_MANIFEST
from aioecrpublic.errors import BrokenReplyError, ConfigurationError, ImageError
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage import PruneRules, manifest_reader, plan_prune, prune, reading
from tests.manage.helpers import Repository
from tests.push.helpers import REPOSITORY, connect, tags_of
from tests.support.docker_registry import docker_registry
from tests.support.oci import random_layer
from tests.support.tools import skopeo
from tests.support.wire import Wire, answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oci import BuiltImage

DAY = dt.timedelta(days=1)


def digests(*images: BuiltImage) -> set[str]:
    """The digests of images with all that indexes list."""
    return {digest for image in images for digest in image.manifests}


async def test_the_newest_are_kept(repository: Repository) -> None:
    images = [await repository.image(f"1.{number}") for number in range(4)]
    index = await repository.index("2.0")
    assert await repository.prune(keep_newest=3) == digests(*images[:2])
    assert await repository.prune(keep_newest=1) == digests(*images[2:])
    assert await repository.prune(keep_newest=0) == digests(index)


async def test_what_an_index_lists_is_not_untagged(repository: Repository) -> None:
    index = await repository.index("1.0")
    loose = await repository.image()
    nested = await repository.push(repository.builder.index([index]))
    assert await repository.prune(untagged_only=True) == {loose.digest, nested.digest}
    assert (await tags_of(repository.client)).keys() == digests(index)


async def test_what_belongs_to_two_goes_with_the_last(repository: Repository) -> None:
    shared, own = (repository.builder.image([random_layer(100, seed)]) for seed in (900, 901))
    old = await repository.push(repository.builder.index([shared, own]), "old")
    new = await repository.push(repository.builder.index([shared]), "new")
    assert await repository.prune(remove_tags=["old"]) == {old.digest, own.digest}
    assert await repository.prune(remove_tags=["new"]) == {new.digest, shared.digest}


async def test_a_tagged_part_of_an_index_that_stays_is_protected(repository: Repository) -> None:
    part = await repository.image("part")
    index = await repository.push(repository.builder.index([part]), "1.0")
    assert await repository.prune(remove_tags=["part"]) == set()
    assert await repository.prune(remove_tags=["1.0"]) == {index.digest}
    assert await repository.prune(remove_tags=["part"]) == {part.digest}


async def test_signatures_go_and_stay_with_what_they_sign(repository: Repository) -> None:
    kept, gone = await repository.image("1.0"), await repository.image("nightly-1")
    parts: dict[str, set[str]] = {}
    for number, image in enumerate((kept, gone)):
        signature = repository.builder.image([random_layer(100, 950 + number)])
        await repository.push(signature, f"{image.digest.replace(':', '-')}.sig")
        sbom = await repository.push(repository.builder.artifact(image, b"sbom", "application/spdx+json"))
        parts[image.digest] = {image.digest, signature.digest, sbom.digest}
    assert await repository.prune(untagged_only=True) == set()
    assert await repository.prune(remove_tags=["nightly-*"], keep_tags=["1.*"]) == parts[gone.digest]
    assert (await tags_of(repository.client)).keys() == parts[kept.digest]


async def test_what_is_attached_to_an_image_that_stays_is_protected_by_whatever_tag(
    repository: Repository,
) -> None:
    image, loose = await repository.image("1.0"), await repository.image("sbom-of-nothing")
    sbom = repository.builder.artifact(image, b"sbom", "application/spdx+json")
    await repository.push(sbom, "sbom-of-1.0")
    assert await repository.prune(remove_tags=["sbom-*"]) == {loose.digest}
    # By its tag it is an image of its own, and goes when the rules say so.
    assert await repository.prune(remove_tags=["1.0"]) == {image.digest}
    assert await repository.prune(remove_tags=["sbom-*"]) == {sbom.digest}


async def test_an_image_that_runs_may_be_attached_to_another(repository: Repository) -> None:
    """By a subject, with a tag of its own and the config of an image: it is read before it goes."""
    image, loose = await repository.image("1.0"), await repository.image("old-1")
    attached = await repository.push(
        repository.builder.image([random_layer(100, 7)], subject=image.descriptor), "old-2"
    )
    assert await repository.prune(remove_tags=["old-*"]) == {loose.digest}
    assert await repository.prune(remove_tags=["1.0"]) == {image.digest}
    assert await repository.prune(remove_tags=["old-*"]) == {attached.digest}


async def test_tag_patterns(repository: Repository) -> None:
    one, both = await repository.image("nightly-1"), await repository.image("nightly-2", "stable")
    untagged = await repository.image()
    assert await repository.prune(remove_tags=["nightly-*"]) == {one.digest}
    assert await repository.prune(keep_newest=0, keep_tags=["stab*"]) == {untagged.digest}
    assert (await tags_of(repository.client)).keys() == {both.digest}


@pytest.mark.parametrize("ahead", [-40 * DAY, 40 * DAY])
async def test_ages_are_counted_by_the_services_clock(ahead: dt.timedelta, tmp_path: Path) -> None:
    """Whether this machine's clock is behind or ahead."""
    passed = [dt.timedelta()]

    def clock() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + ahead + passed[0]

    async with LocalECRPublic(clock=clock) as server, connect(server) as client:
        await client.create_repository(repository_name=REPOSITORY)
        repository = Repository(server, client, tmp_path / "images")
        image = await repository.image("1.0")
        passed[0] = 29 * DAY
        assert await repository.prune(older_than=30 * DAY) == set()
        passed[0] = 31 * DAY
        assert await repository.prune(older_than=30 * DAY) == {image.digest}


def described(**headers: str) -> bytes:
    """What DescribeImages answers of one image, pushed in 2026, which can belong to nothing."""
    image = {
        "imageDigest": f"sha256:{'a' * 64}",
        "imageTags": ["1.0"],
        "imagePushedAt": 1_767_225_600.0,
        "imageManifestMediaType": DOCKER_MANIFEST,
    }
    return answer({"imageDetails": [image]}, headers=headers)


async def read_nothing(digest: str) -> bytes:
    await asyncio.sleep(0)
    raise AssertionError(f"{digest} need not be read")


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
async def test_no_age_is_counted_by_a_clock_that_was_not_compared(headers: dict[str, str]) -> None:
    async with Wire() as wire, ECRPublicClient("us-east-1", wire.url, Credentials("a", "b")) as client:
        wire.default = described(**headers)
        for rules in (PruneRules(older_than=DAY), PruneRules(older_than=DAY, keep_newest=0)):
            with pytest.raises(BrokenReplyError, match="no reply had a Date header"):
                await prune(client, REPOSITORY, rules, apply=True, read_manifest=read_nothing)
        assert {request.operation for request in wire.requests} == {"DescribeImages"}
        plan = await plan_prune(client, REPOSITORY, PruneRules(keep_newest=0), read_manifest=read_nothing)
        assert (len(plan.images), plan.planned_at) == (1, None)


async def test_a_plan_says_from_when_ages_were_counted() -> None:
    noon = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    async with Wire() as wire, ECRPublicClient("us-east-1", wire.url, Credentials("a", "b")) as client:
        wire.default = described(Date=email.utils.format_datetime(noon, usegmt=True))
        for days, count in ((30, 1), (31, 0)):
            rules = PruneRules(older_than=days * DAY)
            plan = await plan_prune(client, REPOSITORY, rules, read_manifest=read_nothing)
            assert len(plan.images) == count
            assert plan.planned_at is not None
            assert noon <= plan.planned_at < noon + dt.timedelta(minutes=5)


async def test_what_is_not_applied_says_what_and_why_and_deletes_nothing(repository: Repository) -> None:
    old, new = await repository.image("1.0"), await repository.index("2.0")
    before = await tags_of(repository.client)
    result = await prune(
        repository.client, REPOSITORY, PruneRules(keep_newest=1), read_manifest=repository.read
    )
    assert (result.applied, result.deleted, result.failures) == (False, (), ())
    (image,) = result.plan.images
    assert (image.digest, image.tags, image.reason) == (old.digest, ("1.0",), "is not one of the newest 1")
    assert result.plan.bytes == image.size > 100
    reasons = {image.digest: image.reason for image in result.plan.keep}
    assert reasons.keys() == digests(new)
    assert reasons[new.digest] == "is one of the newest 1"
    assert reasons[new.manifests[0]] == f"belongs to {new.digest}, which stays"
    assert await tags_of(repository.client) == before


async def test_a_manifest_that_cannot_be_read_ends_it_before_anything_is_deleted(
    repository: Repository,
) -> None:
    await repository.index("1.0")

    async def fail(digest: str) -> bytes:
        await asyncio.sleep(0)
        raise ImageError(f"{digest} is missing")

    with pytest.raises(ImageError, match="is missing"):
        await prune(repository.client, REPOSITORY, PruneRules(keep_newest=0), apply=True, read_manifest=fail)
    assert len(await tags_of(repository.client)) == 3


async def test_where_images_are_pulled_from_is_not_guessed(
    repository: Repository, server: LocalECRPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="registry_url is needed"):
        await prune(repository.client, REPOSITORY, PruneRules(keep_newest=0))
    loose = await repository.image()
    monkeypatch.setenv("AIOECRPUBLIC_REGISTRY_URL", server.registry_url)
    result = await prune(repository.client, REPOSITORY, PruneRules(untagged_only=True))
    assert [image.digest for image in result.plan.images] == [loose.digest]
    monkeypatch.setenv("AIOECRPUBLIC_REGISTRY_URL", "127.0.0.1")
    with pytest.raises(ConfigurationError, match=r"'127\.0\.0\.1' is not http://HOST"):
        await prune(repository.client, REPOSITORY, PruneRules(keep_newest=0))
    with pytest.raises(ConfigurationError, match="is not http://HOST"):
        await prune(repository.client, REPOSITORY, PruneRules(keep_newest=0), registry_url="localhost:5000")


async def test_manifests_are_read_from_where_images_are_pulled(
    repository: Repository, server: LocalECRPublic
) -> None:
    index = await repository.index("1.0")
    loose = await repository.image()
    rules = PruneRules(untagged_only=True)
    result = await prune(repository.client, REPOSITORY, rules, apply=True, registry_url=server.registry_url)
    assert [image.digest for image in result.deleted] == [loose.digest]
    assert (await tags_of(repository.client)).keys() == digests(index)
    async with manifest_reader(repository.client, REPOSITORY, server.registry_url) as read:
        with pytest.raises(ImageError, match="no such image"):
            await read(loose.digest)
        assert await read(index.digest) == index.read(index.digest)
        with pytest.raises(ImageError, match=f"manifest {loose.digest} is missing"):
            await read(loose.digest)


async def test_a_region_that_gives_no_tokens_is_read_from_by_nobody(server: LocalECRPublic) -> None:
    async with connect(server, region="us-east-1") as client:
        credentials = await reading._credentials(client)
        assert credentials is not None
        assert credentials.username == "AWS"
    async with connect(server, region="us-west-2") as client:
        assert await reading._credentials(client) is None


@pytest.mark.interop
async def test_manifests_are_read_from_a_registry(repository: Repository, tmp_path: Path) -> None:
    index = await repository.index("1.0")
    with docker_registry(tmp_path / "registry") as host:
        repository.builder.tag(index, "again")
        skopeo(
            "copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
            f"oci:{repository.path}:again", f"docker://{host}/local/{REPOSITORY}:1.0",
        )  # fmt: skip
        async with manifest_reader(repository.client, REPOSITORY, f"http://{host}") as read:
            for digest in index.manifests:
                assert await read(digest) == index.read(digest)
        rules = PruneRules(untagged_only=True)
        result = await prune(repository.client, REPOSITORY, rules, registry_url=f"http://{host}")
    assert result.plan.images == ()
    assert {image.digest for image in result.plan.keep} == digests(index)
