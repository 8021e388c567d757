"""Pages, and the tokens between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.rules.helpers import push_small_image, refused

if TYPE_CHECKING:
    from tests.local.rules.helpers import Boto

NAMES = [f"app-{number}" for number in range(5)]


@pytest.fixture
def many(client: Boto) -> None:
    for name in reversed(NAMES):
        client.create_repository(repositoryName=name)


@pytest.mark.usefixtures("many")
def test_pages_are_as_long_as_asked_for(client: Boto) -> None:
    paginator = client.get_paginator("describe_repositories")
    for size in (1, 2, 5, 1000):
        pages = [page["repositories"] for page in paginator.paginate(PaginationConfig={"PageSize": size})]
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert [each["repositoryName"] for page in pages for each in page] == NAMES
        assert len(pages) == -(-len(NAMES) // size)


@pytest.mark.usefixtures("many")
def test_a_token_goes_on_behind_what_was_seen_whatever_comes_and_goes(client: Boto) -> None:
    first = client.describe_repositories(maxResults=2)
    client.delete_repository(repositoryName="app-1")
    client.create_repository(repositoryName="app-0a")
    rest = client.describe_repositories(maxResults=100, nextToken=first["nextToken"])
    assert [each["repositoryName"] for each in rest["repositories"]] == NAMES[2:]
    assert "nextToken" not in rest


@pytest.mark.usefixtures("many")
def test_tokens_say_nothing_and_are_good_for_one_thing(client: Boto) -> None:
    token = client.describe_repositories(maxResults=2)["nextToken"]
    assert "app" not in token
    digests = [push_small_image(client, "app-0", f"{number}", b"%d" % number) for number in range(2)]
    assert len(set(digests)) == 2
    images = client.describe_images(repositoryName="app-0", maxResults=1)["nextToken"]
    tags = client.describe_image_tags(repositoryName="app-0", maxResults=1)["nextToken"]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("describe_repositories", {"nextToken": images}),
        ("describe_repositories", {"nextToken": "nonsense"}),
        ("describe_repositories", {"nextToken": token[:-4]}),
        ("describe_registries", {"nextToken": token}),
        ("describe_images", {"repositoryName": "app-0", "nextToken": tags}),
        ("describe_images", {"repositoryName": "app-1", "nextToken": images}),
        ("describe_image_tags", {"repositoryName": "app-0", "nextToken": images}),
    ]
    for method, params in wrong:
        with refused("InvalidParameterException", "nextToken"):
            getattr(client, method)(**params)


def test_names_and_pages_exclude_each_other(client: Boto, repository: str) -> None:
    with refused("InvalidParameterException", "repositoryNames"):
        client.describe_repositories(repositoryNames=[repository], maxResults=1)
    with refused("InvalidParameterException", "imageIds"):
        client.describe_images(repositoryName=repository, imageIds=[{"imageTag": "x"}], maxResults=1)
