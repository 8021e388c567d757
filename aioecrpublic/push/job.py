"""One image to push, and the names that it may have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import TAG
from aioecrpublic._generated import service
from aioecrpublic._generated.types import PutImageRequest
from aioecrpublic._runtime.errors import ConfigurationError, ValidationError
from aioecrpublic._runtime.validate import problems
from aioecrpublic.images import ImageSource
from aioecrpublic.images.reference import hide_user

if TYPE_CHECKING:
    from aioecrpublic.client import ECRPublicClient


def name_of_source(source: ImageSource | str | os.PathLike[str]) -> str:
    """What a source is called in messages, without the password that may stand in it."""
    return hide_user(os.fsdecode(source)) if isinstance(source, str | os.PathLike) else source.name


@attrs.frozen(kw_only=True)
class ImageJob:
    """One of many images to push.

    Attributes:
        source: Where the image is, as ``push_image`` takes it.
        repository_name: Where it goes.
        tags: The tags that it gets.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        platforms: The platforms of an index that are wanted; ``None`` is the whole of it.
    """

    source: ImageSource | str | os.PathLike[str] = attrs.field(repr=name_of_source)
    repository_name: str
    tags: Sequence[str] = ()
    registry_id: str | None = None
    platforms: Sequence[str] | None = None


def check_names(client: ECRPublicClient, job: ImageJob) -> None:
    """Refuse a repository's name or a tag that cannot be, before the image is read.

    Raises:
        ConfigurationError: The source is none.
        ValidationError: It names each of them.
    """
    if not isinstance(job.source, str | os.PathLike | ImageSource):
        raise ConfigurationError(
            f"source must be an image source or a path (got {type(job.source).__name__})"
        )
    for name, names in (("tags", job.tags), ("platforms", job.platforms or ())):
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise ValidationError("push_image", (f"{name} is {type(names).__name__}, not a list",))
    request = PutImageRequest(
        repository_name=job.repository_name, registry_id=job.registry_id, image_manifest="{}"
    )
    found = [*problems(service.SERVICE, service.PUT_IMAGE, request, client.hints)]
    found += [
        f"tags[{index}] {tag!r} is not a tag: at most 128 letters, digits, '_', '.' and '-', "
        "the first neither '.' nor '-'"
        for index, tag in enumerate(job.tags)
        if not _is_tag(tag)
    ]
    # The service would take an image's URI for a name, and make a repository of it.
    if not found and (hint := client.hints["RepositoryName"](job.repository_name)):
        found.append(f"repository_name {hint}")
    if found:
        raise ValidationError("push_image", tuple(found))


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and TAG.fullmatch(value) is not None
