"""What type everything has, for type checkers to read.

Written by ``python -m tests.typing.write_assertions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from aioecrpublic import errors, types

if TYPE_CHECKING:
    from aioecrpublic import ECRPublicClient


async def operations(client: ECRPublicClient) -> None:
    assert_type(
        await client.batch_check_layer_availability(repository_name="", layer_digests=[""]),
        types.BatchCheckLayerAvailabilityResponse,
    )
    assert_type(
        await client.send(types.BatchCheckLayerAvailabilityRequest(repository_name="", layer_digests=[""])),
        types.BatchCheckLayerAvailabilityResponse,
    )
    assert_type(
        await client.batch_delete_image(repository_name="", image_ids=[types.ImageIdentifier()]),
        types.BatchDeleteImageResponse,
    )
    assert_type(
        await client.send(
            types.BatchDeleteImageRequest(repository_name="", image_ids=[types.ImageIdentifier()])
        ),
        types.BatchDeleteImageResponse,
    )
    assert_type(
        await client.complete_layer_upload(repository_name="", upload_id="", layer_digests=[""]),
        types.CompleteLayerUploadResponse,
    )
    assert_type(
        await client.send(
            types.CompleteLayerUploadRequest(repository_name="", upload_id="", layer_digests=[""])
        ),
        types.CompleteLayerUploadResponse,
    )
    assert_type(await client.create_repository(repository_name=""), types.CreateRepositoryResponse)
    assert_type(
        await client.send(types.CreateRepositoryRequest(repository_name="")), types.CreateRepositoryResponse
    )
    assert_type(await client.delete_repository(repository_name=""), types.DeleteRepositoryResponse)
    assert_type(
        await client.send(types.DeleteRepositoryRequest(repository_name="")), types.DeleteRepositoryResponse
    )
    assert_type(
        await client.delete_repository_policy(repository_name=""), types.DeleteRepositoryPolicyResponse
    )
    assert_type(
        await client.send(types.DeleteRepositoryPolicyRequest(repository_name="")),
        types.DeleteRepositoryPolicyResponse,
    )
    assert_type(await client.describe_image_tags(repository_name=""), types.DescribeImageTagsResponse)
    assert_type(
        await client.send(types.DescribeImageTagsRequest(repository_name="")), types.DescribeImageTagsResponse
    )
    assert_type(await client.describe_images(repository_name=""), types.DescribeImagesResponse)
    assert_type(
        await client.send(types.DescribeImagesRequest(repository_name="")), types.DescribeImagesResponse
    )
    assert_type(await client.describe_registries(), types.DescribeRegistriesResponse)
    assert_type(await client.send(types.DescribeRegistriesRequest()), types.DescribeRegistriesResponse)
    assert_type(await client.describe_repositories(), types.DescribeRepositoriesResponse)
    assert_type(await client.send(types.DescribeRepositoriesRequest()), types.DescribeRepositoriesResponse)
    assert_type(await client.get_authorization_token(), types.GetAuthorizationTokenResponse)
    assert_type(await client.send(types.GetAuthorizationTokenRequest()), types.GetAuthorizationTokenResponse)
    assert_type(await client.get_registry_catalog_data(), types.GetRegistryCatalogDataResponse)
    assert_type(
        await client.send(types.GetRegistryCatalogDataRequest()), types.GetRegistryCatalogDataResponse
    )
    assert_type(
        await client.get_repository_catalog_data(repository_name=""), types.GetRepositoryCatalogDataResponse
    )
    assert_type(
        await client.send(types.GetRepositoryCatalogDataRequest(repository_name="")),
        types.GetRepositoryCatalogDataResponse,
    )
    assert_type(await client.get_repository_policy(repository_name=""), types.GetRepositoryPolicyResponse)
    assert_type(
        await client.send(types.GetRepositoryPolicyRequest(repository_name="")),
        types.GetRepositoryPolicyResponse,
    )
    assert_type(await client.initiate_layer_upload(repository_name=""), types.InitiateLayerUploadResponse)
    assert_type(
        await client.send(types.InitiateLayerUploadRequest(repository_name="")),
        types.InitiateLayerUploadResponse,
    )
    assert_type(await client.list_tags_for_resource(resource_arn=""), types.ListTagsForResourceResponse)
    assert_type(
        await client.send(types.ListTagsForResourceRequest(resource_arn="")),
        types.ListTagsForResourceResponse,
    )
    assert_type(await client.put_image(repository_name="", image_manifest=""), types.PutImageResponse)
    assert_type(
        await client.send(types.PutImageRequest(repository_name="", image_manifest="")),
        types.PutImageResponse,
    )
    assert_type(await client.put_registry_catalog_data(), types.PutRegistryCatalogDataResponse)
    assert_type(
        await client.send(types.PutRegistryCatalogDataRequest()), types.PutRegistryCatalogDataResponse
    )
    assert_type(
        await client.put_repository_catalog_data(
            repository_name="", catalog_data=types.RepositoryCatalogDataInput()
        ),
        types.PutRepositoryCatalogDataResponse,
    )
    assert_type(
        await client.send(
            types.PutRepositoryCatalogDataRequest(
                repository_name="", catalog_data=types.RepositoryCatalogDataInput()
            )
        ),
        types.PutRepositoryCatalogDataResponse,
    )
    assert_type(
        await client.set_repository_policy(repository_name="", policy_text=""),
        types.SetRepositoryPolicyResponse,
    )
    assert_type(
        await client.send(types.SetRepositoryPolicyRequest(repository_name="", policy_text="")),
        types.SetRepositoryPolicyResponse,
    )
    assert_type(await client.tag_resource(resource_arn="", tags=[types.Tag()]), types.TagResourceResponse)
    assert_type(
        await client.send(types.TagResourceRequest(resource_arn="", tags=[types.Tag()])),
        types.TagResourceResponse,
    )
    assert_type(await client.untag_resource(resource_arn="", tag_keys=[""]), types.UntagResourceResponse)
    assert_type(
        await client.send(types.UntagResourceRequest(resource_arn="", tag_keys=[""])),
        types.UntagResourceResponse,
    )
    assert_type(
        await client.upload_layer_part(
            repository_name="", upload_id="", part_first_byte=0, part_last_byte=0, layer_part_blob=b""
        ),
        types.UploadLayerPartResponse,
    )
    assert_type(
        await client.send(
            types.UploadLayerPartRequest(
                repository_name="", upload_id="", part_first_byte=0, part_last_byte=0, layer_part_blob=b""
            )
        ),
        types.UploadLayerPartResponse,
    )


async def paginators(client: ECRPublicClient) -> None:
    assert_type(
        client.paginate_describe_image_tags(repository_name=""),
        types.Paginator[types.DescribeImageTagsResponse, types.ImageTagDetail],
    )
    assert_type(
        [item async for item in client.paginate_describe_image_tags(repository_name="")],
        list[types.ImageTagDetail],
    )
    assert_type(
        [page async for page in client.paginate_describe_image_tags(repository_name="").pages()],
        list[types.DescribeImageTagsResponse],
    )
    assert_type(
        await client.paginate_describe_image_tags(repository_name="").collect(limit=1),
        list[types.ImageTagDetail],
    )
    assert_type(
        client.paginate_describe_images(repository_name=""),
        types.Paginator[types.DescribeImagesResponse, types.ImageDetail],
    )
    assert_type(
        [item async for item in client.paginate_describe_images(repository_name="")], list[types.ImageDetail]
    )
    assert_type(
        [page async for page in client.paginate_describe_images(repository_name="").pages()],
        list[types.DescribeImagesResponse],
    )
    assert_type(
        await client.paginate_describe_images(repository_name="").collect(limit=1), list[types.ImageDetail]
    )
    assert_type(
        client.paginate_describe_registries(),
        types.Paginator[types.DescribeRegistriesResponse, types.Registry],
    )
    assert_type([item async for item in client.paginate_describe_registries()], list[types.Registry])
    assert_type(
        [page async for page in client.paginate_describe_registries().pages()],
        list[types.DescribeRegistriesResponse],
    )
    assert_type(await client.paginate_describe_registries().collect(limit=1), list[types.Registry])
    assert_type(
        client.paginate_describe_repositories(),
        types.Paginator[types.DescribeRepositoriesResponse, types.Repository],
    )
    assert_type([item async for item in client.paginate_describe_repositories()], list[types.Repository])
    assert_type(
        [page async for page in client.paginate_describe_repositories().pages()],
        list[types.DescribeRepositoriesResponse],
    )
    assert_type(await client.paginate_describe_repositories().collect(limit=1), list[types.Repository])


def empty_upload_exception(error: errors.EmptyUploadException) -> None:
    assert_type(error.code, str)


def image_already_exists_exception(error: errors.ImageAlreadyExistsException) -> None:
    assert_type(error.code, str)


def image_digest_does_not_match_exception(error: errors.ImageDigestDoesNotMatchException) -> None:
    assert_type(error.code, str)


def image_not_found_exception(error: errors.ImageNotFoundException) -> None:
    assert_type(error.code, str)


def image_tag_already_exists_exception(error: errors.ImageTagAlreadyExistsException) -> None:
    assert_type(error.code, str)


def invalid_layer_exception(error: errors.InvalidLayerException) -> None:
    assert_type(error.code, str)


def invalid_layer_part_exception(error: errors.InvalidLayerPartException) -> None:
    assert_type(error.code, str)
    assert_type(error.registry_id, str | None)
    assert_type(error.repository_name, str | None)
    assert_type(error.upload_id, str | None)
    assert_type(error.last_valid_byte_received, int | None)


def invalid_parameter_exception(error: errors.InvalidParameterException) -> None:
    assert_type(error.code, str)


def invalid_tag_parameter_exception(error: errors.InvalidTagParameterException) -> None:
    assert_type(error.code, str)


def layer_already_exists_exception(error: errors.LayerAlreadyExistsException) -> None:
    assert_type(error.code, str)


def layer_part_too_small_exception(error: errors.LayerPartTooSmallException) -> None:
    assert_type(error.code, str)


def layers_not_found_exception(error: errors.LayersNotFoundException) -> None:
    assert_type(error.code, str)


def limit_exceeded_exception(error: errors.LimitExceededException) -> None:
    assert_type(error.code, str)


def referenced_images_not_found_exception(error: errors.ReferencedImagesNotFoundException) -> None:
    assert_type(error.code, str)


def registry_not_found_exception(error: errors.RegistryNotFoundException) -> None:
    assert_type(error.code, str)


def repository_already_exists_exception(error: errors.RepositoryAlreadyExistsException) -> None:
    assert_type(error.code, str)


def repository_catalog_data_not_found_exception(error: errors.RepositoryCatalogDataNotFoundException) -> None:
    assert_type(error.code, str)


def repository_not_empty_exception(error: errors.RepositoryNotEmptyException) -> None:
    assert_type(error.code, str)


def repository_not_found_exception(error: errors.RepositoryNotFoundException) -> None:
    assert_type(error.code, str)


def repository_policy_not_found_exception(error: errors.RepositoryPolicyNotFoundException) -> None:
    assert_type(error.code, str)


def server_exception(error: errors.ServerException) -> None:
    assert_type(error.code, str)


def too_many_tags_exception(error: errors.TooManyTagsException) -> None:
    assert_type(error.code, str)


def unsupported_command_exception(error: errors.UnsupportedCommandException) -> None:
    assert_type(error.code, str)


def upload_not_found_exception(error: errors.UploadNotFoundException) -> None:
    assert_type(error.code, str)
