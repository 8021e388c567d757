"""Images and their tags, by boto3: what moves, what goes, what must stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.rules.helpers import (
    INDEX_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Boto,
    descriptor,
    digest_of,
    index_of,
    manifest_of,
    push_layer,
    push_small_image,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def there(client: Boto, repository: str) -> dict[str, list[str]]:
    details = client.describe_images(repositoryName=repository)["imageDetails"]
    return {detail["imageDigest"]: detail.get("imageTags", []) for detail in details}


def delete(client: Boto, repository: str, *ids: dict[str, str]) -> tuple[Sequence[Any], list[str]]:
    reply = client.batch_delete_image(repositoryName=repository, imageIds=list(ids))
    return reply["imageIds"], [failure["failureCode"] for failure in reply["failures"]]


def test_a_tag_moves_and_its_image_stays(client: Boto, repository: str) -> None:
    old = push_small_image(client, repository, "latest", b"1")
    new = push_small_image(client, repository, "latest", b"2")
    assert there(client, repository) == {old: [], new: ["latest"]}
    (tag,) = client.describe_image_tags(repositoryName=repository)["imageTagDetails"]
    assert (tag["imageTag"], tag["imageDetail"]["imageDigest"]) == ("latest", new)


def test_the_last_tag_takes_the_image_along(client: Boto, repository: str) -> None:
    digest = push_small_image(client, repository, "1.0")
    push_small_image(client, repository, "latest")
    first, last = ({"imageTag": tag} for tag in ("1.0", "latest"))
    assert delete(client, repository, first) == ([{"imageDigest": digest, "imageTag": "1.0"}], [])
    assert there(client, repository) == {digest: ["latest"]}
    assert delete(client, repository, last) == ([{"imageDigest": digest, "imageTag": "latest"}], [])
    assert there(client, repository) == {}


def test_a_digest_takes_all_tags_along(client: Boto, repository: str) -> None:
    digest = push_small_image(client, repository, "1.0")
    push_small_image(client, repository, "latest")
    gone, failures = delete(client, repository, {"imageDigest": digest})
    assert (sorted(each["imageTag"] for each in gone), failures) == (["1.0", "latest"], [])
    assert there(client, repository) == {}


def test_what_cannot_be_deleted(client: Boto, repository: str) -> None:
    digest = push_small_image(client, repository, "1.0")
    ids = [
        {"imageTag": "nope"},
        {"imageDigest": digest_of(b"x")},
        {"imageTag": "1.0", "imageDigest": digest_of(b"x")},
        {},
    ]
    failures = ["ImageNotFound", "ImageNotFound", "ImageTagDoesNotMatchDigest", "MissingDigestAndTag"]
    assert delete(client, repository, *ids) == ([], failures)
    assert there(client, repository) == {digest: ["1.0"]}


def test_an_image_of_an_index_stays_while_the_index_does(client: Boto, repository: str) -> None:
    child = push_small_image(client, repository, "child")
    index = index_of(manifest_of(b"{}", b"layer"))
    put = client.put_image(repositoryName=repository, imageManifest=index, imageTag="all")["image"]
    assert put["imageManifestMediaType"] == INDEX_TYPE
    for image_id in ({"imageDigest": child}, {"imageTag": "child"}):
        assert delete(client, repository, image_id) == ([], ["ImageReferencedByManifestList"])
    delete(client, repository, {"imageTag": "all"})
    assert delete(client, repository, {"imageDigest": child})[1] == []
    assert there(client, repository) == {}


def test_what_an_image_is_described_as(client: Boto, repository: str) -> None:
    digest = push_small_image(client, repository, "1.0")
    (detail,) = client.describe_images(repositoryName=repository, imageIds=[{"imageTag": "1.0"}])[
        "imageDetails"
    ]
    assert detail["imageDigest"] == digest
    assert detail["imageSizeInBytes"] == len(b"{}layer")
    assert detail["imageManifestMediaType"] == MANIFEST_TYPE
    assert detail["artifactMediaType"] == "application/vnd.oci.image.config.v1+json"
    with refused("ImageNotFoundException", "imageTag:'2.0'"):
        client.describe_images(repositoryName=repository, imageIds=[{"imageTag": "2.0"}])


def test_a_manifest_is_stored_as_it_is_and_put_once(client: Boto, repository: str) -> None:
    push_small_image(client, repository)
    text = manifest_of(b"{}", b"layer") + "\n "
    put = client.put_image(repositoryName=repository, imageManifest=text, imageTag="1.0")["image"]
    assert put["imageManifest"] == text
    assert put["imageId"] == {"imageDigest": digest_of(text.encode()), "imageTag": "1.0"}
    with refused("ImageAlreadyExistsException", digest_of(text.encode()), "'1.0'"):
        client.put_image(repositoryName=repository, imageManifest=text, imageTag="1.0")


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
URLS = {"urls": ["https://example.com/layer"]}


@pytest.mark.parametrize(
    ("media_type", "more", "needed"),
    [
        (FOREIGN, URLS, False),
        (NONDISTRIBUTABLE, URLS, False),
        # Nobody could find it.
        (FOREIGN, {}, True),
        (NONDISTRIBUTABLE, {"urls": []}, True),
        # It can be had elsewhere as well, and has to be here all the same.
        (LAYER_TYPE, URLS, True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", URLS, True),
    ],
)
def test_which_layers_may_be_elsewhere(
    client: Boto, repository: str, media_type: str, more: dict[str, object], *, needed: bool
) -> None:
    push_layer(client, repository, b"{}")
    layer = descriptor(media_type, b"far away") | more
    manifest = manifest_of(b"{}", layers=[layer])
    if needed:
        with refused("LayersNotFoundException", digest_of(b"far away")):
            client.put_image(repositoryName=repository, imageManifest=manifest)
        push_layer(client, repository, b"far away")
    client.put_image(repositoryName=repository, imageManifest=manifest, imageTag="1.0")


@pytest.mark.parametrize("tag", ["a b", "a/b", "a:b", "é", "1.0\n", "[1]", "1+2"])
def test_tags_that_are_none(client: Boto, repository: str, tag: str) -> None:
    push_small_image(client, repository)
    manifest = manifest_of(b"{}", b"layer")
    with refused("InvalidParameterException", "'imageTag'", "'[a-zA-Z0-9-_.]+'"):
        client.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
    assert "imageTags" not in client.describe_images(repositoryName=repository)["imageDetails"][0]


def test_a_repository_with_images_is_deleted_by_force(client: Boto, repository: str) -> None:
    push_small_image(client, repository, "1.0")
    with refused("RepositoryNotEmptyException", f"'{repository}'"):
        client.delete_repository(repositoryName=repository)
    client.delete_repository(repositoryName=repository, force=True)
    client.create_repository(repositoryName=repository)
    assert there(client, repository) == {}
