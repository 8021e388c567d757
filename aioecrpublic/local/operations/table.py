"""Every operation's handler by the operation's name in the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from aioecrpublic.local.operations import (
    catalog,
    images,
    layers,
    policies,
    registries,
    repositories,
    resource_tags,
)
from aioecrpublic.local.state import Context

Handler: TypeAlias = Callable[[Context, Any], Any]

HANDLERS: Final[dict[str, Handler]] = {
    "BatchCheckLayerAvailability": layers.batch_check_layer_availability,
    "BatchDeleteImage": images.batch_delete_image,
    "CompleteLayerUpload": layers.complete_layer_upload,
    "CreateRepository": repositories.create_repository,
    "DeleteRepository": repositories.delete_repository,
    "DeleteRepositoryPolicy": policies.delete_repository_policy,
    "DescribeImageTags": images.describe_image_tags,
    "DescribeImages": images.describe_images,
    "DescribeRegistries": registries.describe_registries,
    "DescribeRepositories": repositories.describe_repositories,
    "GetAuthorizationToken": registries.get_authorization_token,
    "GetRegistryCatalogData": registries.get_registry_catalog_data,
    "GetRepositoryCatalogData": catalog.get_repository_catalog_data,
    "GetRepositoryPolicy": policies.get_repository_policy,
    "InitiateLayerUpload": layers.initiate_layer_upload,
    "ListTagsForResource": resource_tags.list_tags_for_resource,
    "PutImage": images.put_image,
    "PutRegistryCatalogData": registries.put_registry_catalog_data,
    "PutRepositoryCatalogData": catalog.put_repository_catalog_data,
    "SetRepositoryPolicy": policies.set_repository_policy,
    "TagResource": resource_tags.tag_resource,
    "UntagResource": resource_tags.untag_resource,
    "UploadLayerPart": layers.upload_layer_part,
}

TAKING_ROOM: Final = frozenset({
    "CompleteLayerUpload",
    "CreateRepository",
    "InitiateLayerUpload",
    "PutImage",
    "PutRegistryCatalogData",
    "PutRepositoryCatalogData",
    "SetRepositoryPolicy",
    "TagResource",
    "UploadLayerPart",
})  # fmt: skip
"""What is not begun when the disk is full."""
FREEING_ROOM: Final = frozenset({
    "BatchDeleteImage",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "UntagResource",
})  # fmt: skip
"""What has to work when the disk is full."""
