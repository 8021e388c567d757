"""Plans carried out while the repository changes, deletions fail and replies are lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic._common.oci import DOCKER_MANIFEST
from aioecrpublic.errors import RepositoryNotFoundException
from aioecrpublic.local import Fault, LocalECRPublic
from aioecrpublic.manage import PruneRules, execute_prune, plan_prune
from aioecrpublic.manage.prune_plan import decide
from aioecrpublic.types import ImageDetail, ImageIdentifier
from tests.manage.helpers import Repository
from tests.push.helpers import REPOSITORY, Wire, connect, tags_of
from tests.support import wire as service
from tests.support.oci import random_layer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from aioecrpublic.hooks import SendEvent
    from aioecrpublic.manage import PlannedImage, PruneFailure, PrunePlan, PruneResult
    from tests.support.oci import BuiltImage

ALL = PruneRules(keep_newest=0)
LOOSE = PruneRules(untagged_only=True)


async def planned(repository: Repository, rules: PruneRules = ALL) -> PrunePlan:
    return await plan_prune(repository.client, REPOSITORY, rules, read_manifest=repository.read)


async def delete(repository: Repository, *images: BuiltImage | PlannedImage) -> None:
    """Delete images as somebody else does."""
    identifiers = [ImageIdentifier(image_digest=image.digest) for image in images]
    response = await repository.client.batch_delete_image(repository_name=REPOSITORY, image_ids=identifiers)
    assert not response.failures


async def signed(repository: Repository, image: BuiltImage) -> list[str]:
    """Attach a signature by tag, an SBOM by subject, and a signature of the SBOM; their digests."""
    signature = repository.builder.image([random_layer(100, 5000)])
    await repository.push(signature, f"{image.digest.replace(':', '-')}.sig")
    sbom = await repository.push(repository.builder.artifact(image, b"sbom", "application/spdx+json"))
    above = await repository.push(repository.builder.artifact(sbom, b"signature", "application/jose+json"))
    return [signature.digest, sbom.digest, above.digest]


def codes(failures: Sequence[PruneFailure]) -> dict[str, str]:
    return {failure.image.digest: failure.code for failure in failures}


def digests_of(images: Sequence[PlannedImage]) -> list[str]:
    return [image.digest for image in images]


async def executed(server: LocalECRPublic, plan: PrunePlan, *faults: Fault) -> PruneResult:
    """Carry out a plan, each call once."""
    server.inject(*faults)
    async with connect(server, max_attempts=1) as client:
        return await execute_prune(client, plan)


async def with_250_more(repository: Repository, image: BuiltImage) -> PrunePlan:
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
    return await planned(repository, PruneRules(remove_tags=["n*"]))


async def test_more_than_one_batch(server: LocalECRPublic, repository: Repository) -> None:
    image = await repository.image("first")
    plan = await with_250_more(repository, image)
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        result = await execute_prune(client, plan)
    assert digests_of(result.deleted) == digests_of(plan.images)
    assert wire.sent == ["DescribeImages", *["BatchDeleteImage", "DescribeImages"] * 3]
    assert await tags_of(repository.client) == {image.digest: ["first"]}


async def test_what_was_deleted_is_reported_when_the_service_fails_later(
    server: LocalECRPublic, repository: Repository
) -> None:
    plan = await with_250_more(repository, await repository.image("first"))
    result = await executed(server, plan, Fault(kind="error", operation="DescribeImages", skip=2))
    assert digests_of(result.deleted) == digests_of(plan.images[:100])
    # Their tags are gone; whether that were all, nobody has seen.
    assert [failure.image for failure in result.unconfirmed] == [*plan.images[100:200]]
    assert [failure.image for failure in result.failures] == [*plan.images[200:]]
    assert {failure.code for failure in (*result.failures, *result.unconfirmed)} == {"ServerException"}
    assert all(failure.reason.startswith("not tried: ") for failure in result.failures)
    assert len(await tags_of(repository.client)) == 51


async def test_images_without_tags_are_deleted_for_sure(
    server: LocalECRPublic, repository: Repository
) -> None:
    loose = [await repository.image() for _ in range(2)]
    plan = await planned(repository)
    result = await executed(server, plan, Fault(kind="error", operation="DescribeImages", skip=1))
    assert set(digests_of(result.deleted)) == {image.digest for image in loose}
    assert (result.failures, result.unconfirmed) == ((), ())


async def test_images_with_very_many_tags(server: LocalECRPublic, repository: Repository) -> None:
    """Of 99 tags and 2 more there are two calls; an image of 101 tags goes by its digest."""
    for count in (99, 2, 101):
        await repository.image(*[f"of{count}-{number}" for number in range(count)])
    plan = await planned(repository)
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        result = await execute_prune(client, plan)
    assert digests_of(result.deleted) == digests_of(plan.images)
    assert 2 <= wire.count("BatchDeleteImage") <= 3
    assert await tags_of(repository.client) == {}


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("kind", ["lost", "cut"])
async def test_a_lost_reply_does_not_hide_what_was_done(
    kind: str, attempts: int, server: LocalECRPublic, repository: Repository
) -> None:
    images = [await repository.image(f"n{number}") for number in range(3)]
    loose = await repository.index()
    plan = await planned(repository)
    server.inject(Fault(kind=kind, operation="BatchDeleteImage"))
    async with connect(server, max_attempts=attempts) as client:
        result = await execute_prune(client, plan)
    assert sorted(digests_of(result.deleted)) == sorted([*(i.digest for i in images), *loose.manifests])
    assert (result.failures, result.unconfirmed, result.missing) == ((), (), ())
    assert await tags_of(repository.client) == {}


@pytest.mark.parametrize("kind", ["error", "reset"])
async def test_what_was_not_done_is_reported_with_its_reason(
    kind: str, server: LocalECRPublic, repository: Repository
) -> None:
    images = [await repository.image(f"n{number}") for number in range(2)]
    result = await executed(server, await planned(repository), Fault(kind=kind, operation="BatchDeleteImage"))
    code = {"error": "ServerException", "reset": "ConnectError"}[kind]
    assert codes(result.failures) == dict.fromkeys((image.digest for image in images), code)
    assert all(failure.reason for failure in result.failures)
    assert (result.deleted, result.unconfirmed) == ((), ())


async def test_what_nobody_says_is_not_guessed(server: LocalECRPublic, repository: Repository) -> None:
    index = await repository.index("1.0")
    result = await executed(
        server,
        await planned(repository),
        Fault(kind="lost", operation="BatchDeleteImage"),
        Fault(kind="error", operation="DescribeImages", skip=1),
    )
    assert codes(result.unconfirmed) == {index.digest: "ConnectError"}
    assert codes(result.failures) == dict.fromkeys(set(index.manifests) - {index.digest}, "ServerException")
    assert result.deleted == ()


@pytest.mark.parametrize("confirmed", [True, False])
async def test_what_is_shown_counts_more_than_what_was_said(*, confirmed: bool) -> None:
    image = ImageDetail(image_digest=f"sha256:{'a' * 64}", image_manifest_media_type=DOCKER_MANIFEST)
    plan = decide("team/app", {str(image.image_digest): image}, {str(image.image_digest): set()}, LOOSE, None)
    shown = {"imageDigest": image.image_digest}

    def say(asked: service.Received) -> bytes:
        if asked.operation == "DescribeImages":
            return service.answer({"imageDetails": [shown]})
        return service.answer({"imageIds": [shown] if confirmed else []})

    async with (
        service.Wire() as wire,
        ECRPublicClient("us-east-1", wire.url, Credentials("a", "b")) as client,
    ):
        wire.default = say
        result = await execute_prune(client, plan)
    assert codes(result.failures) == {image.image_digest: "NotDeleted"}
    assert result.deleted == ()


async def test_what_was_gone_is_not_among_what_was_not_tried(
    server: LocalECRPublic, repository: Repository
) -> None:
    index, loose = await repository.index("1.0"), await repository.image()
    attached = await signed(repository, loose)
    plan = await planned(repository)
    await delete(repository, *[image for image in plan.images if image.digest in attached])
    result = await executed(server, plan, Fault(kind="error", operation="DescribeImages", skip=1))
    assert set(digests_of(result.missing)) == set(attached)
    assert digests_of(result.deleted) == [loose.digest]
    assert codes(result.unconfirmed) == {index.digest: "ServerException"}
    assert codes(result.failures).keys() == set(index.manifests) - {index.digest}


async def test_an_error_of_the_first_look_is_raised(server: LocalECRPublic, repository: Repository) -> None:
    await repository.image("n1")
    plan = await planned(repository)
    await repository.client.delete_repository(repository_name=REPOSITORY, force=True)
    with pytest.raises(RepositoryNotFoundException):
        await executed(server, plan)


async def test_a_plan_carried_out_twice(server: LocalECRPublic, repository: Repository) -> None:
    index, image = await repository.index("1.0"), await repository.image("2.0")
    plan = await planned(repository)
    first, second = await executed(server, plan), await executed(server, plan)
    assert set(digests_of(first.deleted)) == {*index.manifests, image.digest}
    assert (second.deleted, second.missing, second.failures) == ((), plan.images, ())


async def test_what_changed_since_the_plan_stays(server: LocalECRPublic, repository: Repository) -> None:
    moved, gone, refused, again, plain = [await repository.image(f"n{number}") for number in range(5)]
    plan = await planned(repository)
    later = await repository.image("later")
    await repository.push(moved, "precious")
    index = await repository.push(repository.builder.index([refused]), "holds")
    await delete(repository, gone, again)
    await repository.push(again, "n3")
    result = await executed(server, plan)
    assert codes(result.failures) == {
        moved.digest: "ChangedSincePlan",
        again.digest: "ChangedSincePlan",
        refused.digest: "ImageReferencedByManifestList",
    }
    reasons = {failure.image.digest: failure.reason for failure in result.failures}
    assert reasons[moved.digest] == "its tags are n0, precious now, they were n0"
    assert reasons[again.digest].startswith("it was pushed again at ")
    assert digests_of(result.deleted) == [plain.digest]
    assert digests_of(result.missing) == [gone.digest]
    left = {moved.digest, again.digest, refused.digest, later.digest, index.digest}
    assert (await tags_of(repository.client)).keys() == left


async def test_a_plan_of_another_account_deletes_nothing(
    server: LocalECRPublic, repository: Repository
) -> None:
    await repository.image("1.0")
    plan = attrs.evolve(await planned(repository), registry_id="999999999999")
    with pytest.raises(RepositoryNotFoundException, match="999999999999"):
        await executed(server, plan)
    assert len(await tags_of(repository.client)) == 1


async def test_a_plan_of_another_registry_deletes_nothing(repository: Repository, tmp_path: Path) -> None:
    """Though the same image is there, in a repository of the same name, under the same tag."""
    image = await repository.image("1.0")
    plan = await planned(repository)
    async with LocalECRPublic() as other, connect(other) as client:
        await client.create_repository(repository_name=REPOSITORY)
        twin = Repository(other, client, tmp_path / "images")
        assert (await twin.image("1.0")).digest == image.digest
        assert codes((await executed(other, plan)).failures) == {image.digest: "ChangedSincePlan"}


@attrs.define
class Before:
    """A hook that does something just before a request, the first of its operation after ``skip`` others."""

    operation: str
    act: Callable[[], Awaitable[object]]
    skip: int = 0

    async def before_send(self, event: SendEvent) -> None:
        if event.operation == self.operation:
            self.skip -= 1
            if self.skip == -1:
                await self.act()


async def test_a_tag_that_is_set_between_the_look_and_the_deletion_saves_its_image(
    server: LocalECRPublic, repository: Repository
) -> None:
    image, other = await repository.image("n1", "n2"), await repository.image("n3")
    attached = await signed(repository, image)
    plan = await planned(repository, PruneRules(remove_tags=["n*"]))
    hook = Before("BatchDeleteImage", lambda: repository.push(image, "1.0"))
    async with connect(server, hooks=[hook]) as client:
        result = await execute_prune(client, plan)
    assert digests_of(result.deleted) == [other.digest]
    assert codes(result.failures) == {
        image.digest: "ChangedSincePlan",
        **dict.fromkeys(attached, "RequiredByRemainingImage"),
    }
    there = await tags_of(repository.client)
    assert there[image.digest] == ["1.0"]
    assert there.keys() == {image.digest, *attached}


@pytest.mark.parametrize("how", ["retagged", "pushed later", "deletion fails"])
async def test_what_is_attached_stays_with_what_it_is_attached_to(
    how: str, server: LocalECRPublic, repository: Repository
) -> None:
    image = await repository.image("nightly-1")
    attached = await signed(repository, image)
    if how == "pushed later":
        await delete(repository, image)
    plan = await planned(repository)
    assert set(attached) <= set(digests_of(plan.images))
    faults = [Fault(kind="error", operation="BatchDeleteImage")] if how == "deletion fails" else []
    if not faults:
        await repository.push(image, "1.0")
    result = await executed(server, plan, *faults)
    assert result.deleted == ()
    stay = codes(result.failures)
    assert {stay[digest] for digest in attached} == {"RequiredByRemainingImage"}
    assert (await tags_of(repository.client)).keys() == {image.digest, *attached}


async def test_what_is_attached_stays_when_its_image_comes_back(
    server: LocalECRPublic, repository: Repository
) -> None:
    image = await repository.image("nightly-1")
    attached = await signed(repository, image)
    plan = await planned(repository)
    hook = Before("DescribeImages", lambda: repository.push(image, "nightly-1"), skip=1)
    async with connect(server, hooks=[hook]) as client:
        result = await execute_prune(client, plan)
    assert codes(result.failures) == {
        image.digest: "ChangedSincePlan",
        **dict.fromkeys(attached, "RequiredByRemainingImage"),
    }
    assert (await tags_of(repository.client)).keys() == {image.digest, *attached}


async def test_the_parts_of_an_index_stay_with_it(server: LocalECRPublic, repository: Repository) -> None:
    """Nested, tagged by themselves, signed: none of them goes before the topmost index has gone."""
    inner = await repository.index()
    tagged = await repository.image("old-part")
    outer = await repository.push(repository.builder.index([inner, tagged]), "old")
    attached = await signed(repository, tagged)
    plan = await planned(repository, PruneRules(remove_tags=["old*"]))
    everything = {*outer.manifests, *attached}
    assert set(digests_of(plan.images)) == everything
    holder = await repository.push(repository.builder.index([outer]), "new")
    result = await executed(server, plan)
    assert result.deleted == ()
    assert codes(result.failures) == {
        **dict.fromkeys(everything, "RequiredByRemainingImage"),
        outer.digest: "ImageReferencedByManifestList",
    }
    await delete(repository, holder)
    assert set(digests_of((await executed(server, plan)).deleted)) == everything
