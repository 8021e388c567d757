"""Policies, what the gallery shows, tags of repositories, authorization tokens."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest

from tests.local.rules.helpers import Boto, boto, refused, running

OWNER = "123456789012"
ARN = "arn:aws:ecr-public::123456789012:repository/team/app"


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"Statement":[]}', '{"Statement":[{"Effect":"Maybe","Action":"*"}]}', "[" * 9000],
)
def test_policies_that_are_none(client: Boto, repository: str, text: str) -> None:
    with refused("InvalidParameterException", "Invalid repository policy provided"):
        client.set_repository_policy(repositoryName=repository, policyText=text)
    with refused("RepositoryPolicyNotFoundException"):
        client.get_repository_policy(repositoryName=repository)


def test_a_policy_that_is_too_long(client: Boto, repository: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr-public:DescribeImages"}
    text = json.dumps({"Statement": [statement]})
    client.set_repository_policy(repositoryName=repository, policyText=text.ljust(10_240))
    with refused("InvalidParameterException", "policyText"):
        client.set_repository_policy(repositoryName=repository, policyText=text.ljust(10_241))


def test_a_policy_that_shuts_its_owner_out_needs_force(client: Boto, repository: str) -> None:
    statement = {"Effect": "Deny", "Principal": {"AWS": OWNER}, "Action": "ecr-public:Set*"}
    text = json.dumps({"Statement": [statement]})
    with refused("InvalidParameterException", "force"):
        client.set_repository_policy(repositoryName=repository, policyText=text)
    client.set_repository_policy(repositoryName=repository, policyText=text, force=True)
    assert client.get_repository_policy(repositoryName=repository)["policyText"] == text


@pytest.mark.parametrize(
    ("logo", "says"), [(b"GIF89a", "PNG or JPEG"), (b"\x89PNG\r\n\x1a\n".ljust(512_001), "logoImageBlob")]
)
def test_logos_that_cannot_be(client: Boto, repository: str, logo: bytes, says: str) -> None:
    with refused("InvalidParameterException", says):
        client.put_repository_catalog_data(repositoryName=repository, catalogData={"logoImageBlob": logo})
    with refused("RepositoryCatalogDataNotFoundException"):
        client.get_repository_catalog_data(repositoryName=repository)


def test_a_repository_is_made_with_all_or_nothing(client: Boto) -> None:
    with refused("InvalidTagParameterException"):
        client.create_repository(repositoryName="app", tags=[{"Key": "aws:x", "Value": ""}])
    with refused("InvalidParameterException"):
        client.create_repository(repositoryName="app", catalogData={"logoImageBlob": b"none"})
    assert client.describe_repositories()["repositories"] == []
    made = client.create_repository(
        repositoryName="app", catalogData={"aboutText": "x"}, tags=[{"Key": "a", "Value": "b"}]
    )
    assert made["catalogData"]["aboutText"] == "x"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([("AWS:x", "")], "InvalidTagParameterException"),
        ([("a", "1"), ("a", "2")], "InvalidTagParameterException"),
        ([("a?", "")], "InvalidTagParameterException"),
        ([("a" * 129, "")], "InvalidParameterException"),
        ([("a", "b" * 257)], "InvalidParameterException"),
        ([(f"key-{number}", "") for number in range(51)], "TooManyTagsException"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_resource_tags_that_cannot_be(client: Boto, tags: list[tuple[str, str]], code: str) -> None:
    given = [{"Key": key, "Value": value} for key, value in tags]
    with refused(code):
        client.tag_resource(resourceArn=ARN, tags=given)
    assert client.list_tags_for_resource(resourceArn=ARN)["tags"] == []


def test_resources_that_are_none(client: Boto) -> None:
    for arn in (
        "arn:aws:ecr-public::999999999999:repository/app",
        "arn:aws:ecr:us-east-1:1:repository/app",
        "x",
    ):
        with refused("InvalidParameterException", "resourceArn"):
            client.list_tags_for_resource(resourceArn=arn)
    with refused("RepositoryNotFoundException", "'team/app'"):
        client.list_tags_for_resource(resourceArn=ARN)


def test_an_authorization_token_is_good_for_twelve_hours() -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    with running(clock=lambda: now) as server:
        data = boto(server).get_authorization_token()["authorizationData"]
    assert data["expiresAt"] == now + dt.timedelta(hours=12)
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
