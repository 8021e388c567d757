"""Manifests read back: the service has no call for it, so they come from the registry's Docker side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import RegistryCredentials, RegistryImage
from aioecrpublic.manage.token import registry_token

if TYPE_CHECKING:
    from aioecrpublic.client import ECRPublicClient

ReadManifest: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Takes the digest of a manifest, and returns its exact bytes."""

_AWS_DOMAINS = (".amazonaws.com", ".api.aws")


async def manifest_reader(
    client: ECRPublicClient, repository_name: str, registry_url: str | None = None
) -> ReadManifest:
    """What reads the manifests of one of the caller's repositories.

    Args:
        client: An open client.
        repository_name: The repository's name.
        registry_url: Where images are pulled from, if not from where the repository's URI says: for an ECR
            Public that is not AWS's.

    Raises:
        ConfigurationError: The client speaks to another service than AWS's, and there is no ``registry_url``.
        RepositoryNotFoundException: There is no such repository.
    """
    endpoint = urlsplit(client.endpoint_url).hostname or ""
    at_aws = endpoint.endswith(_AWS_DOMAINS)
    if registry_url is None and not at_aws:
        raise ConfigurationError(
            f"registry_url is needed with the endpoint {client.endpoint_url}: it does not say where "
            "its images are pulled from"
        )
    described = await client.describe_repositories(repository_names=[repository_name])
    host, _, path = str(described.repositories[0].repository_uri).partition("/")
    credentials = None
    insecure = None
    if registry_url is not None:
        given = urlsplit(registry_url)
        if given.scheme not in {"http", "https"} or not given.netloc:
            raise ConfigurationError(f"registry_url {registry_url!r} is not http://HOST or https://HOST")
        host, insecure = given.netloc, given.scheme == "http"
    else:
        token = await registry_token(client)
        credentials = RegistryCredentials(username=token.username, password=token.password)

    async def read(digest: str) -> bytes:
        image = RegistryImage(
            f"{host}/{path}@{digest}",
            credentials=credentials,
            anonymous=credentials is None,
            insecure=insecure,
        )
        async with image:
            return await image.read_manifest(await image.open())

    return read
