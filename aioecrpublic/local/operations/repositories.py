"""Repositories: made, described, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    InvalidParameterException,
    LimitExceededException,
    RepositoryAlreadyExistsException,
    RepositoryNotEmptyException,
)
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.garbage import drop_unnamed
from aioecrpublic.local.operations.catalog import store_catalog
from aioecrpublic.local.operations.resource_tags import store_tags
from aioecrpublic.local.state import Context, arn_of, find_repository, moment, page, uri_of

if TYPE_CHECKING:
    import sqlite3


def create_repository(
    context: Context, request: types.CreateRepositoryRequest
) -> types.CreateRepositoryResponse:
    """CreateRepository."""
    name, most = request.repository_name, context.state.settings.most_repositories
    with context.state.database.transaction() as cursor:
        if cursor.row("SELECT 1 FROM repository WHERE name = ?", name):
            raise RepositoryAlreadyExistsException(
                f"The repository with name '{name}' already exists in the registry with id '{REGISTRY_ID}'"
            )
        if cursor.value("SELECT count(*) FROM repository") >= most:
            raise LimitExceededException(
                f"The registry with id '{REGISTRY_ID}' has the maximum number of repositories, {most}"
            )
        cursor.run("INSERT INTO repository (name, created_at) VALUES (?, ?)", name, context.state.now())
        store_tags(cursor, name, request.tags or ())
        catalog = None
        if request.catalog_data is not None:
            catalog = store_catalog(context, cursor, name, request.catalog_data)
        row = cursor.row("SELECT * FROM repository WHERE name = ?", name)
    return types.CreateRepositoryResponse(repository=_repository(row), catalog_data=catalog)


def describe_repositories(
    context: Context, request: types.DescribeRepositoriesRequest
) -> types.DescribeRepositoriesResponse:
    """DescribeRepositories."""
    wanted = request.repository_names
    if wanted and (request.next_token is not None or request.max_results is not None):
        raise InvalidParameterException(
            "Invalid parameter at 'repositoryNames' failed to satisfy constraint: "
            "'nextToken and maxResults cannot be used with repositoryNames'"
        )
    with context.state.database.transaction() as cursor:
        for name in wanted or ():
            find_repository(cursor, name, request.registry_id)
        rows = {row["name"]: row for row in cursor.rows("SELECT * FROM repository ORDER BY name")}
    if wanted:
        return types.DescribeRepositoriesResponse(
            repositories=[_repository(rows[name]) for name in dict.fromkeys(wanted)]
        )
    names, following = page(
        list(rows),
        operation="DescribeRepositories",
        scope="",
        token=request.next_token,
        limit=request.max_results,
    )
    return types.DescribeRepositoriesResponse(
        repositories=[_repository(rows[name]) for name in names], next_token=following
    )


def delete_repository(
    context: Context, request: types.DeleteRepositoryRequest
) -> types.DeleteRepositoryResponse:
    """DeleteRepository, with the files of all that nothing else has."""
    name = request.repository_name
    with context.state.database.transaction() as cursor:
        find_repository(cursor, name, request.registry_id)
        row = cursor.row("SELECT * FROM repository WHERE name = ?", name)
        if not request.force and cursor.row("SELECT 1 FROM image WHERE repository = ?", name):
            raise RepositoryNotEmptyException(
                f"The repository with name '{name}' in registry with id '{REGISTRY_ID}' cannot be deleted "
                "because it still contains images"
            )
        uploads = cursor.rows("SELECT id FROM upload WHERE repository = ?", name)
        layers = cursor.rows("SELECT digest FROM layer WHERE repository = ?", name)
        cursor.run("DELETE FROM repository WHERE name = ?", name)
    drop_unnamed(context.state, [row["id"] for row in uploads], [row["digest"] for row in layers])
    return types.DeleteRepositoryResponse(repository=_repository(row))


def _repository(row: sqlite3.Row | None) -> types.Repository:
    if row is None:
        raise AssertionError("a repository that was just found is there")
    return types.Repository(
        repository_arn=arn_of(row["name"]),
        registry_id=REGISTRY_ID,
        repository_name=row["name"],
        repository_uri=uri_of(row["name"]),
        created_at=moment(row["created_at"]),
    )
