"""The images of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient

_PAGE_SIZE = 1000
"""Images of a page, the most that the model allows (``MaxResults``)."""


async def list_images(
    client: ECRPublicClient, repository_name: str, registry_id: str | None = None
) -> dict[str, ImageDetail]:
    """Return all images of a repository, by digest."""
    pages = client.paginate_describe_images(
        repository_name=repository_name, registry_id=registry_id, max_results=_PAGE_SIZE
    )
    return {str(image.image_digest): image async for image in pages}
