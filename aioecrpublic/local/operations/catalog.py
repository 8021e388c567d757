"""What the gallery shows about a repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import InvalidParameterException, RepositoryCatalogDataNotFoundException
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.state import Context, find_repository

if TYPE_CHECKING:
    from aioecrpublic.local.database import Cursor

# https://docs.aws.amazon.com/AmazonECR/latest/public/public-repository-catalog-data.html: a PNG or JPEG.
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def put_repository_catalog_data(
    context: Context, request: types.PutRepositoryCatalogDataRequest
) -> types.PutRepositoryCatalogDataResponse:
    """PutRepositoryCatalogData: all of it; what is left out is removed."""
    with context.state.database.transaction() as cursor:
        find_repository(cursor, request.repository_name, request.registry_id)
        catalog = store_catalog(context, cursor, request.repository_name, request.catalog_data)
    return types.PutRepositoryCatalogDataResponse(catalog_data=catalog)


def get_repository_catalog_data(
    context: Context, request: types.GetRepositoryCatalogDataRequest
) -> types.GetRepositoryCatalogDataResponse:
    """GetRepositoryCatalogData."""
    name = request.repository_name
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        text = cursor.value("SELECT catalog FROM repository WHERE name = ?", name)
    if text is None:
        raise RepositoryCatalogDataNotFoundException(
            f"The repository catalog data does not exist in the repository with name '{name}' in the "
            f"registry with id '{REGISTRY_ID}'"
        )
    return types.GetRepositoryCatalogDataResponse(catalog_data=_catalog(context, json.loads(text)))


def store_catalog(
    context: Context, cursor: Cursor, name: str, data: types.RepositoryCatalogDataInput
) -> types.RepositoryCatalogData:
    """Store the catalog data of a repository; what is to be answered."""
    stored: dict[str, Any] = {
        "description": data.description,
        "architectures": list(data.architectures or ()),
        "operating_systems": list(data.operating_systems or ()),
        "about_text": data.about_text,
        "usage_text": data.usage_text,
    }
    if data.logo_image_blob is not None:
        logo = bytes(data.logo_image_blob)  # type: ignore[arg-type]
        if not logo.startswith(_IMAGES):
            raise InvalidParameterException(
                "Invalid parameter at 'logoImageBlob' failed to satisfy constraint: 'must be a PNG or JPEG'"
            )
        stored["logo"] = context.state.blobs.add(logo)
    cursor.run("UPDATE repository SET catalog = ? WHERE name = ?", json.dumps(stored), name)
    return _catalog(context, stored)


def _catalog(context: Context, stored: dict[str, Any]) -> types.RepositoryCatalogData:
    shown = dict(stored)
    logo = shown.pop("logo", None)
    url = f"{context.state.base_url()}/logos/{logo.removeprefix('sha256:')}" if logo else None
    return types.RepositoryCatalogData(**shown, logo_url=url, marketplace_certified=False)
