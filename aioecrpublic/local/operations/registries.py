"""The registry itself: its aliases, what the gallery shows of it, and tokens for its Docker side."""

from __future__ import annotations

import base64

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import UnsupportedCommandException
from aioecrpublic.local.accounts import ALIAS, REGISTRY_HOST, REGISTRY_ID
from aioecrpublic.local.state import Context, page

_DISPLAY_NAME = "display_name"
_TOKEN_REGION = "us-east-1"  # noqa: S105 - where tokens are given, not one of them


def describe_registries(
    context: Context, request: types.DescribeRegistriesRequest
) -> types.DescribeRegistriesResponse:
    """DescribeRegistries: the one of the caller's account."""
    own = context.account == REGISTRY_ID
    keys, following = page(
        [context.account],
        operation="DescribeRegistries",
        scope=context.account,
        token=request.next_token,
        limit=request.max_results,
    )
    alias = types.RegistryAlias(
        name=ALIAS,
        status=types.RegistryAliasStatus.ACTIVE,
        primary_registry_alias=True,
        default_registry_alias=True,
    )
    registries = [
        types.Registry(
            registry_id=account,
            registry_arn=f"arn:aws:ecr-public::{account}:registry/{account}",
            registry_uri=f"{REGISTRY_HOST}/{ALIAS}" if own else "",
            verified=False,
            aliases=[alias] if own else [],
        )
        for account in keys
    ]
    return types.DescribeRegistriesResponse(registries=registries, next_token=following)


def get_authorization_token(
    context: Context,
    request: types.GetAuthorizationTokenRequest,  # noqa: ARG001 - as every handler
) -> types.GetAuthorizationTokenResponse:
    """GetAuthorizationToken: ``AWS:password`` in base64, good for twelve hours."""
    if context.caller.region != _TOKEN_REGION:
        raise UnsupportedCommandException(
            f"GetAuthorizationToken command is only supported in {_TOKEN_REGION}."
        )
    password, expires_at = context.state.new_token(context.account)
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    return types.GetAuthorizationTokenResponse(
        authorization_data=types.AuthorizationData(authorization_token=token, expires_at=expires_at)
    )


def get_registry_catalog_data(
    context: Context,
    request: types.GetRegistryCatalogDataRequest,  # noqa: ARG001 - as every handler
) -> types.GetRegistryCatalogDataResponse:
    """GetRegistryCatalogData."""
    with context.state.database.transaction() as cursor:
        name = cursor.value("SELECT value FROM setting WHERE name = ?", _DISPLAY_NAME)
    return types.GetRegistryCatalogDataResponse(
        registry_catalog_data=types.RegistryCatalogData(display_name=name)
    )


def put_registry_catalog_data(
    context: Context, request: types.PutRegistryCatalogDataRequest
) -> types.PutRegistryCatalogDataResponse:
    """PutRegistryCatalogData."""
    with context.state.database.transaction() as cursor:
        if request.display_name is None:
            cursor.run("DELETE FROM setting WHERE name = ?", _DISPLAY_NAME)
        else:
            cursor.run("INSERT OR REPLACE INTO setting VALUES (?, ?)", _DISPLAY_NAME, request.display_name)
    return types.PutRegistryCatalogDataResponse(
        registry_catalog_data=types.RegistryCatalogData(display_name=request.display_name)
    )
