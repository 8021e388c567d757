"""Tags of resources, which are repositories; not those of images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    InvalidParameterException,
    InvalidTagParameterException,
    TooManyTagsException,
)
from aioecrpublic.local.state import Context, find_repository, repository_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioecrpublic.local.database import Cursor

MOST_TAGS: Final = 50
_CHARACTERS: Final = re.compile(r"[\w\s.:/=+\-@]*")


def tag_resource(context: Context, request: types.TagResourceRequest) -> types.TagResourceResponse:
    """TagResource."""
    with context.state.database.transaction() as cursor:
        store_tags(cursor, _repository(cursor, request.resource_arn), request.tags)
    return types.TagResourceResponse()


def untag_resource(context: Context, request: types.UntagResourceRequest) -> types.UntagResourceResponse:
    """UntagResource; keys that are not there do no harm."""
    with context.state.database.transaction() as cursor:
        name = _repository(cursor, request.resource_arn)
        for key in request.tag_keys:
            cursor.run("DELETE FROM resource_tag WHERE repository = ? AND key = ?", name, key)
    return types.UntagResourceResponse()


def list_tags_for_resource(
    context: Context, request: types.ListTagsForResourceRequest
) -> types.ListTagsForResourceResponse:
    """ListTagsForResource."""
    with context.state.database.transaction() as cursor:
        name = _repository(cursor, request.resource_arn)
        rows = cursor.rows("SELECT key, value FROM resource_tag WHERE repository = ? ORDER BY key", name)
    return types.ListTagsForResourceResponse(
        tags=[types.Tag(key=row["key"], value=row["value"]) for row in rows]
    )


def store_tags(cursor: Cursor, name: str, tags: Sequence[types.Tag]) -> None:
    """Add or change tags of a repository.

    Raises:
        InvalidTagParameterException: A key or a value cannot be.
        TooManyTagsException: There would be more than 50.
    """
    for tag in tags:
        if not tag.key or tag.value is None:
            raise InvalidTagParameterException("A tag needs a key and a value.")
        if tag.key.lower().startswith("aws:"):
            raise InvalidTagParameterException("Tag keys that begin with 'aws:' are reserved for system use.")
        if not _CHARACTERS.fullmatch(tag.key) or not _CHARACTERS.fullmatch(tag.value):
            raise InvalidTagParameterException(f"The tag '{tag.key}' has characters that tags cannot have.")
    if len({tag.key for tag in tags}) != len(tags):
        raise InvalidTagParameterException("Duplicate tag keys found.")
    for tag in tags:
        cursor.run("INSERT OR REPLACE INTO resource_tag VALUES (?, ?, ?)", name, tag.key, tag.value)
    if cursor.value("SELECT count(*) FROM resource_tag WHERE repository = ?", name) > MOST_TAGS:
        raise TooManyTagsException(f"A resource can have at most {MOST_TAGS} tags.")


def _repository(cursor: Cursor, arn: str) -> str:
    name = repository_of(arn)
    if name is None:
        raise InvalidParameterException(
            f"Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN {arn}'"
        )
    find_repository(cursor, name)
    return name
