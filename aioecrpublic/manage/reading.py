"""Manifests read back: the service has no call for it, so they come from the registry's Docker side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from aioecrpublic._common.addresses import REGISTRY_URL
from aioecrpublic._generated.errors import UnsupportedCommandException
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import ImageError, RegistryCredentials, RegistryImage
from aioecrpublic.manage.token import registry_token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aioecrpublic.client import ECRPublicClient

ReadManifest: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Takes the digest of a manifest, and returns its exact bytes."""

_AWS_DOMAINS = (".amazonaws.com", ".api.aws")


@asynccontextmanager
async def manifest_reader(
    client: ECRPublicClient, repository_name: str, registry_url: str | None = None
) -> AsyncGenerator[ReadManifest]:
    """What reads the manifests of one of the caller's repositories, over connections that it keeps.

    Args:
        client: An open client.
        repository_name: The repository's name.
        registry_url: Where images are pulled from, if not from where the repository's URI says: for an ECR
            Public that is not AWS's; ``None`` is then ``AIOECRPUBLIC_REGISTRY_URL``.

    Raises:
        ConfigurationError: The client speaks to another service than AWS's, and there is no ``registry_url``.
        RepositoryNotFoundException: There is no such repository.
    """
    source = await _source(client, repository_name, registry_url)
    images: list[RegistryImage] = []
    opening = asyncio.Lock()

    async def read(digest: str) -> bytes:
        async with opening:
            # Any manifest of the repository is one to begin with.
            if not images:
                images.append(await stack.enter_async_context(source(digest)))
        found = await images[0].find(digest)
        if found is None:
            raise ImageError(f"{images[0].name}: manifest {digest} is missing")
        return await images[0].read_manifest(found)

    async with AsyncExitStack() as stack:
        yield read


async def _source(
    client: ECRPublicClient, repository_name: str, registry_url: str | None
) -> Callable[[str], RegistryImage]:
    """What makes an image of the repository out of a digest."""
    endpoint = urlsplit(client.endpoint_url).hostname or ""
    if registry_url is None and not endpoint.endswith(_AWS_DOMAINS):
        registry_url = os.environ.get(REGISTRY_URL)
        if registry_url is None:
            raise ConfigurationError(
                f"registry_url is needed with the endpoint {client.endpoint_url}: it does not say where "
                "its images are pulled from"
            )
    described = await client.describe_repositories(repository_names=[repository_name])
    host, _, path = str(described.repositories[0].repository_uri).partition("/")
    if registry_url is None:
        credentials = await _credentials(client)
        return lambda digest: RegistryImage(
            f"{host}/{path}@{digest}", credentials=credentials, anonymous=credentials is None
        )
    given = urlsplit(registry_url)
    if given.scheme not in {"http", "https"} or not given.netloc:
        raise ConfigurationError(f"registry_url {registry_url!r} is not http://HOST or https://HOST")
    return lambda digest: RegistryImage(
        f"{given.netloc}/{path}@{digest}", anonymous=True, insecure=given.scheme == "http"
    )


async def _credentials(client: ECRPublicClient) -> RegistryCredentials | None:
    """The caller's, for the pace of those who log in; ``None`` in a region that gives no tokens."""
    try:
        token = await registry_token(client)
    except UnsupportedCommandException:
        return None
    return RegistryCredentials(username=token.username, password=token.password)
