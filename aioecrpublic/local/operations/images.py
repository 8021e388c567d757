"""Images: put, described, deleted."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    ImageAlreadyExistsException,
    ImageDigestDoesNotMatchException,
    ImageNotFoundException,
    InvalidParameterException,
    LayersNotFoundException,
    LimitExceededException,
    ReferencedImagesNotFoundException,
)
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.manifests import ManifestFacts, inspect
from aioecrpublic.local.operations.layers import missing_layers
from aioecrpublic.local.state import Context, check_registry, find_repository, moment, page

if TYPE_CHECKING:
    import sqlite3

    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.state import State

_TAG: Final = re.compile(r"[a-zA-Z0-9-_.]+")


def put_image(context: Context, request: types.PutImageRequest) -> types.PutImageResponse:
    """PutImage: a manifest whose layers and children are there, under a tag if one is given."""
    check_registry(request.registry_id)
    name = request.repository_name
    digest = digest_of(request.image_manifest)
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name)
        _check_tag(request.image_tag)
        facts = inspect(request.image_manifest, request.image_manifest_media_type)
        if request.image_digest is not None and request.image_digest != digest:
            raise ImageDigestDoesNotMatchException(
                f"The provided digest '{request.image_digest}' does not match the digest '{digest}' that was "
                "calculated for the image"
            )
        changed = store(context.state, cursor, name, request.image_manifest, facts, request.image_tag)
        if not changed:
            tagged = f" and tag '{request.image_tag}'" if request.image_tag else ""
            raise ImageAlreadyExistsException(
                f"Image with digest '{digest}'{tagged} already exists in the repository with name "
                f"'{name}' in registry with id '{REGISTRY_ID}'"
            )
    return types.PutImageResponse(
        image=types.Image(
            registry_id=REGISTRY_ID,
            repository_name=name,
            image_id=types.ImageIdentifier(image_digest=digest, image_tag=request.image_tag),
            image_manifest=request.image_manifest,
            image_manifest_media_type=facts.media_type,
        )
    )


def store(
    state: State, cursor: Cursor, name: str, manifest: str, facts: ManifestFacts, tag: str | None
) -> bool:
    """Store an image whose layers and children are there, and point a tag at it; whether anything changed.

    Raises:
        LayersNotFoundException: A layer, or the config, is not there.
        ReferencedImagesNotFoundException: A child of an index is not there.
        LimitExceededException: The repository is full.
    """
    digest = digest_of(manifest)
    _check_references(cursor, name, facts)
    changed = _store_image(state, cursor, name, digest, manifest, facts)
    return _store_tag(state, cursor, name, digest, tag) or changed


def digest_of(manifest: str) -> str:
    """The digest of a manifest."""
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def describe_images(context: Context, request: types.DescribeImagesRequest) -> types.DescribeImagesResponse:
    """DescribeImages."""
    name, wanted = request.repository_name, request.image_ids
    if wanted and (request.next_token is not None or request.max_results is not None):
        raise InvalidParameterException(
            "Invalid parameter at 'imageIds' failed to satisfy constraint: "
            "'nextToken and maxResults cannot be used with imageIds'"
        )
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        if wanted:
            digests = dict.fromkeys(_resolve(cursor, name, image_id) for image_id in wanted)
            details = [_detail(cursor, name, digest) for digest in digests]
            return types.DescribeImagesResponse(image_details=details)
        keys = [
            row["digest"]
            for row in cursor.rows("SELECT digest FROM image WHERE repository = ? ORDER BY digest", name)
        ]
        shown, following = page(
            keys,
            operation="DescribeImages",
            scope=name,
            token=request.next_token,
            limit=request.max_results,
        )
        details = [_detail(cursor, name, digest) for digest in shown]
    return types.DescribeImagesResponse(image_details=details, next_token=following)


def describe_image_tags(
    context: Context, request: types.DescribeImageTagsRequest
) -> types.DescribeImageTagsResponse:
    """DescribeImageTags."""
    name = request.repository_name
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        tags = {
            row["name"]: row
            for row in cursor.rows("SELECT * FROM tag WHERE repository = ? ORDER BY name", name)
        }
        shown, following = page(
            list(tags),
            operation="DescribeImageTags",
            scope=name,
            token=request.next_token,
            limit=request.max_results,
        )
        details = [_tag_detail(cursor, name, tags[tag]) for tag in shown]
    return types.DescribeImageTagsResponse(image_tag_details=details, next_token=following)


def batch_delete_image(
    context: Context, request: types.BatchDeleteImageRequest
) -> types.BatchDeleteImageResponse:
    """BatchDeleteImage: a tag, with the image if it was its last; or an image with all its tags."""
    name = request.repository_name
    deleted: list[types.ImageIdentifier] = []
    failures: list[types.ImageFailure] = []
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        for image_id in request.image_ids:
            failure = _failure_to_delete(cursor, name, image_id)
            if failure is not None:
                failures.append(failure)
            else:
                deleted += _delete(cursor, name, image_id)
    return types.BatchDeleteImageResponse(image_ids=deleted, failures=failures)


def _check_tag(tag: str | None) -> None:
    """Refuse what private ECR refuses: https://github.com/alexjurkiewicz/ecr-scan-image/issues/40."""
    if tag is not None and _TAG.fullmatch(tag) is None:
        raise InvalidParameterException(
            "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression "
            f"'{_TAG.pattern}''"
        )


def _check_references(cursor: Cursor, name: str, facts: ManifestFacts) -> None:
    where = (
        f"required for pushing image into repository with name '{name}' in the registry with id "
        f"'{REGISTRY_ID}' do not exist"
    )
    if missing := missing_layers(cursor, name, facts.layers):
        raise LayersNotFoundException(f"Layers with digests '[{', '.join(missing)}]' {where}")
    absent = [
        child
        for child in facts.children
        if cursor.row("SELECT 1 FROM image WHERE repository = ? AND digest = ?", name, child) is None
    ]
    if absent:
        raise ReferencedImagesNotFoundException(f"Images with digests '[{', '.join(absent)}]' {where}")


def _store_image(
    state: State, cursor: Cursor, name: str, digest: str, manifest: str, facts: ManifestFacts
) -> bool:
    """Store the image unless it is there; whether it was not."""
    if cursor.row("SELECT 1 FROM image WHERE repository = ? AND digest = ?", name, digest):
        return False
    _check_room(cursor, name, state.settings.most_images)
    size = facts.size
    if facts.children:
        # Of a manifest list the service tells the size of the largest manifest in it.
        marks = ", ".join("?" * len(facts.children))
        size = cursor.value(
            f"SELECT max(size) FROM image WHERE repository = ? AND digest IN ({marks})",  # noqa: S608 - only marks
            name,
            *facts.children,
        )
    cursor.run(
        "INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        name,
        digest,
        manifest,
        facts.media_type,
        facts.artifact_media_type,
        facts.subject,
        size,
        state.now(),
    )
    for kind, digests in (("layer", facts.layers), ("image", facts.children)):
        for reference in digests:
            cursor.run("INSERT INTO reference VALUES (?, ?, ?, ?)", name, digest, reference, kind)
    return True


def _check_room(cursor: Cursor, name: str, most: int) -> None:
    if cursor.value("SELECT count(*) FROM image WHERE repository = ?", name) >= most:
        raise LimitExceededException(
            f"The repository with name '{name}' in the registry with id '{REGISTRY_ID}' has the maximum "
            f"number of images, {most}"
        )


def _store_tag(state: State, cursor: Cursor, name: str, digest: str, tag: str | None) -> bool:
    """Point the tag at the image; whether it did not yet."""
    if tag is None:
        return False
    if cursor.value("SELECT digest FROM tag WHERE repository = ? AND name = ?", name, tag) == digest:
        return False
    cursor.run("INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?)", name, tag, digest, state.now())
    return True


def _resolve(cursor: Cursor, name: str, image_id: types.ImageIdentifier) -> str:
    """The digest of an image that is there."""
    digest = _find(cursor, name, image_id)
    if digest is None:
        shown = _shown(image_id)
        raise ImageNotFoundException(
            f"The image with imageId {shown} does not exist within the repository with name '{name}' in the "
            f"registry with id '{REGISTRY_ID}'"
        )
    return digest


def _find(cursor: Cursor, name: str, image_id: types.ImageIdentifier) -> str | None:
    if image_id.image_tag is not None:
        tagged: str | None = cursor.value(
            "SELECT digest FROM tag WHERE repository = ? AND name = ?", name, image_id.image_tag
        )
        return tagged if image_id.image_digest in {None, tagged} else None
    if image_id.image_digest is None:
        raise InvalidParameterException(
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'a tag or a digest is required'"
        )
    found: str | None = cursor.value(
        "SELECT digest FROM image WHERE repository = ? AND digest = ?", name, image_id.image_digest
    )
    return found


def _shown(image_id: types.ImageIdentifier) -> str:
    parts = {"imageDigest": image_id.image_digest, "imageTag": image_id.image_tag}
    inner = ", ".join(f"{key}:'{value}'" for key, value in parts.items() if value is not None)
    return f"{{{inner}}}"


def _detail(cursor: Cursor, name: str, digest: str) -> types.ImageDetail:
    image = _image(cursor, name, digest)
    tags = cursor.rows("SELECT name FROM tag WHERE repository = ? AND digest = ? ORDER BY name", name, digest)
    return types.ImageDetail(
        registry_id=REGISTRY_ID,
        repository_name=name,
        image_digest=digest,
        image_tags=[tag["name"] for tag in tags],
        image_size_in_bytes=image["size"],
        image_pushed_at=moment(image["pushed_at"]),
        image_manifest_media_type=image["media_type"],
        artifact_media_type=image["artifact_media_type"],
    )


def _tag_detail(cursor: Cursor, name: str, tag: sqlite3.Row) -> types.ImageTagDetail:
    image = _image(cursor, name, tag["digest"])
    return types.ImageTagDetail(
        image_tag=tag["name"],
        created_at=moment(tag["created_at"]),
        image_detail=types.ReferencedImageDetail(
            image_digest=tag["digest"],
            image_size_in_bytes=image["size"],
            image_pushed_at=moment(image["pushed_at"]),
            image_manifest_media_type=image["media_type"],
            artifact_media_type=image["artifact_media_type"],
        ),
    )


def _image(cursor: Cursor, name: str, digest: str) -> sqlite3.Row:
    row = cursor.row("SELECT * FROM image WHERE repository = ? AND digest = ?", name, digest)
    if row is None:
        raise AssertionError("an image that was just found is there")
    return row


def _failure_to_delete(
    cursor: Cursor, name: str, image_id: types.ImageIdentifier
) -> types.ImageFailure | None:
    """Why an image cannot be deleted, if it cannot."""
    tag, digest = image_id.image_tag, image_id.image_digest
    codes = types.ImageFailureCode
    if tag is None and digest is None:
        return _failure(image_id, codes.MISSING_DIGEST_AND_TAG, "Missing digest and tag")
    found = _find(cursor, name, image_id)
    if found is None:
        if tag is not None and digest is not None:
            return _failure(image_id, codes.IMAGE_TAG_DOES_NOT_MATCH_DIGEST, "Tag does not match digest")
        return _failure(image_id, codes.IMAGE_NOT_FOUND, "Requested image not found")
    parents = [
        row["image"]
        for row in cursor.rows(
            "SELECT image FROM reference WHERE repository = ? AND digest = ? AND kind = 'image'", name, found
        )
    ]
    others = cursor.value(
        "SELECT count(*) FROM tag WHERE repository = ? AND digest = ? AND name IS NOT ?", name, found, tag
    )
    goes = tag is None or not others
    if goes and parents:
        reason = f"Requested image referenced by manifest list: [{', '.join(sorted(parents))}]"
        return _failure(image_id, codes.IMAGE_REFERENCED_BY_MANIFEST_LIST, reason)
    return None


def _failure(
    image_id: types.ImageIdentifier, code: types.ImageFailureCode, reason: str
) -> types.ImageFailure:
    return types.ImageFailure(image_id=image_id, failure_code=code, failure_reason=reason)


def _delete(cursor: Cursor, name: str, image_id: types.ImageIdentifier) -> list[types.ImageIdentifier]:
    """Delete a tag or an image; every pair of tag and digest that is gone."""
    digest = _resolve(cursor, name, image_id)
    tags = [
        row["name"]
        for row in cursor.rows(
            "SELECT name FROM tag WHERE repository = ? AND digest = ? ORDER BY name", name, digest
        )
    ]
    gone = tags if image_id.image_tag is None else [image_id.image_tag]
    for tag in gone:
        cursor.run("DELETE FROM tag WHERE repository = ? AND name = ?", name, tag)
    if set(gone) == set(tags):
        cursor.run("DELETE FROM image WHERE repository = ? AND digest = ?", name, digest)
    return [types.ImageIdentifier(image_digest=digest, image_tag=tag) for tag in gone] or [
        types.ImageIdentifier(image_digest=digest)
    ]
