"""Lifecycle rules over a repository of images, indexes, and what is attached to them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic.errors import (
    ConfigurationError,
    ImageError,
    RepositoryNotFoundException,
    ServerException,
)
from aioecrpublic.manage import PruneRules, execute_prune, manifest_reader, plan_prune, prune, reading
from aioecrpublic.push import push_image
from aioecrpublic.types import DescribeImagesResponse, ImageIdentifier
from tests.push.helpers import REPOSITORY, Wire, connect, tags_of
from tests.support.docker_registry import docker_registry
from tests.support.oci import BuiltImage, LayoutBuilder, random_layer, write_index
from tests.support.tools import skopeo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.manage import PrunePlan


class Repository:
    """The repository under test, and how it is filled and pruned."""

    def __init__(self, server: LocalECRPublic, client: ECRPublicClient, path: Path) -> None:
        self.client = client
        self.path = path
        self.builder = LayoutBuilder(path)
        self.read = partial(server.read_manifest, REPOSITORY)
        self._count = 0

    async def push(self, image: BuiltImage, *tags: str) -> BuiltImage:
        self._count += 1
        self.builder.tag(image, f"push{self._count}")
        await push_image(self.client, f"oci:{self.path}:push{self._count}", REPOSITORY, tags)
        return image

    async def image(self, *tags: str) -> BuiltImage:
        self._count += 1
        return await self.push(self.builder.image([random_layer(100, self._count)]), *tags)

    async def index(self, *tags: str) -> BuiltImage:
        self._count += 1
        return await self.push(write_index(self.path, seed=self._count, layer_size=100), *tags)

    async def prune(self, **rules: Any) -> set[str]:
        """Prune for good and return the digests of what went."""
        before = await tags_of(self.client)
        result = await prune(
            self.client, REPOSITORY, PruneRules(**rules), dry_run=False, read_manifest=self.read
        )
        gone = before.keys() - (await tags_of(self.client)).keys()
        assert not result.failures
        assert gone == {image.digest for image in result.deleted} == {i.digest for i in result.plan.images}
        return gone


@pytest.fixture
def repository(server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path) -> Repository:
    return Repository(server, client, tmp_path / "images")


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


async def test_tag_patterns(repository: Repository) -> None:
    one, both = await repository.image("nightly-1"), await repository.image("nightly-2", "stable")
    untagged = await repository.image()
    assert await repository.prune(remove_tags=["nightly-*"]) == {one.digest}
    assert await repository.prune(keep_newest=0, keep_tags=["stab*"]) == {untagged.digest}
    assert (await tags_of(repository.client)).keys() == {both.digest}


async def test_age(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await repository.image("1.0")
    assert await repository.prune(older_than=dt.timedelta(days=1)) == set()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    monkeypatch.setattr("aioecrpublic.manage.pruning._now", lambda: later)
    assert await repository.prune(older_than=dt.timedelta(days=1)) == {image.digest}


async def test_a_dry_run_says_what_and_why_and_deletes_nothing(repository: Repository) -> None:
    old, new = await repository.image("1.0"), await repository.index("2.0")
    before = await tags_of(repository.client)
    result = await prune(
        repository.client, REPOSITORY, PruneRules(keep_newest=1), read_manifest=repository.read
    )
    assert (result.dry_run, result.deleted, result.failures) == (True, (), ())
    (image,) = result.plan.images
    assert (image.digest, image.tags, image.reason) == (old.digest, ("1.0",), "is not one of the newest 1")
    assert result.plan.bytes == image.size > 100
    reasons = {image.digest: image.reason for image in result.plan.keep}
    assert reasons.keys() == digests(new)
    assert reasons[new.digest] == "is one of the newest 1"
    assert reasons[new.manifests[0]] == f"belongs to {new.digest}, which stays"
    assert await tags_of(repository.client) == before


async def _with_250_more(repository: Repository, image: BuiltImage) -> PrunePlan:
    """A plan to remove 250 images that are like ``image``, in three batches."""
    raw = json.loads(image.read(image.digest))
    for number in range(250):
        manifest = json.dumps(raw | {"annotations": {"number": str(number)}})
        await repository.client.put_image(
            repository_name=REPOSITORY,
            image_manifest=manifest,
            image_manifest_media_type=image.media_type,
            image_tag=f"n{number}",
        )
    rules = PruneRules(remove_tags=["n*"])
    return await plan_prune(repository.client, REPOSITORY, rules, read_manifest=repository.read)


async def test_more_than_one_batch(server: LocalECRPublic, repository: Repository) -> None:
    image = await repository.image("first")
    plan = await _with_250_more(repository, image)
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        result = await execute_prune(client, plan)
    assert len(result.deleted) == 250
    # However many images the repository has, each batch is looked at by itself.
    assert wire.count("BatchDeleteImage") == wire.count("DescribeImages") == 3
    assert await tags_of(repository.client) == {image.digest: ["first"]}


async def test_what_was_deleted_is_reported_when_the_service_fails_later(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await _with_250_more(repository, await repository.image("first"))
    describe, calls = repository.client.describe_images, 0

    async def fail_once(**members: Any) -> DescribeImagesResponse:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ServerException("no", code="ServerException")
        return await describe(**members)

    monkeypatch.setattr(repository.client, "describe_images", fail_once)
    result = await execute_prune(repository.client, plan)
    assert [image.digest for image in result.deleted] == [
        image.digest for image in plan.images[:100] + plan.images[200:]
    ]
    assert [failure.image for failure in result.failures] == [*plan.images[100:200]]
    assert {failure.code for failure in result.failures} == {"ServerException"}


async def test_a_repository_that_is_gone_is_an_error_and_no_report(repository: Repository) -> None:
    await repository.image("n1")
    plan = await plan_prune(
        repository.client, REPOSITORY, PruneRules(keep_newest=0), read_manifest=repository.read
    )
    await repository.client.delete_repository(repository_name=REPOSITORY, force=True)
    with pytest.raises(RepositoryNotFoundException):
        await execute_prune(repository.client, plan)


async def test_what_changed_since_the_plan_stays(repository: Repository) -> None:
    moved, gone, refused, plain = [await repository.image(f"n{number}") for number in range(4)]
    client = repository.client
    plan = await plan_prune(client, REPOSITORY, PruneRules(keep_newest=0), read_manifest=repository.read)
    later = await repository.image("later")
    await repository.push(moved, "n0", "precious")
    index = await repository.push(repository.builder.index([refused]), "holds")
    await client.batch_delete_image(
        repository_name=REPOSITORY, image_ids=[ImageIdentifier(image_digest=gone.digest)]
    )
    result = await execute_prune(client, plan)
    codes = {failure.image.digest: failure.code for failure in result.failures}
    assert codes == {
        moved.digest: "ChangedSincePlan",
        gone.digest: "ChangedSincePlan",
        refused.digest: "ImageReferencedByManifestList",
    }
    assert [image.digest for image in result.deleted] == [plain.digest]
    left = {moved.digest, refused.digest, later.digest, index.digest}
    assert (await tags_of(client)).keys() == left


async def test_a_batch_that_fails_is_reported_by_image(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: Sequence[BuiltImage] = [await repository.image(f"n{number}") for number in range(2)]

    async def refuse(**_: object) -> None:
        await asyncio.sleep(0)
        raise ServerException("no", code="ServerException")

    monkeypatch.setattr(repository.client, "batch_delete_image", refuse)
    result = await prune(
        repository.client, REPOSITORY, PruneRules(keep_newest=0), dry_run=False, read_manifest=repository.read
    )
    assert {failure.image.digest for failure in result.failures} == {image.digest for image in images}
    assert {failure.code for failure in result.failures} == {"ServerException"}
    assert result.deleted == ()


async def test_a_manifest_that_cannot_be_read_ends_it_before_anything_is_deleted(
    repository: Repository,
) -> None:
    await repository.index("1.0")

    async def fail(digest: str) -> bytes:
        await asyncio.sleep(0)
        raise ImageError(f"{digest} is missing")

    with pytest.raises(ImageError, match="is missing"):
        await prune(
            repository.client, REPOSITORY, PruneRules(keep_newest=0), dry_run=False, read_manifest=fail
        )
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
    result = await prune(
        repository.client, REPOSITORY, rules, dry_run=False, registry_url=server.registry_url
    )
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


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, "rules that remove everything"),
        ({"keep_tags": ["1.*"]}, "rules that remove everything"),
        ({"keep_newest": -1}, "keep_newest is -1"),
        ({"older_than": dt.timedelta(days=-1)}, "less than nothing"),
        ({"untagged_only": True, "remove_tags": ["x"]}, "contradict"),
        ({"remove_tags": "nightly"}, "not a list"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        PruneRules(**rules)
