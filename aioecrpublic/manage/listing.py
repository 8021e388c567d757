"""The images of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient


async def list_images(client: ECRPublicClient, repository_name: str) -> dict[str, ImageDetail]:
    """All images of a repository, by digest."""
    return {
        str(image.image_digest): image
        async for image in client.paginate_describe_images(repository_name=repository_name)
    }
