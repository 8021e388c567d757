from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

USERS_TESTS = """
import threading

import boto3
import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.errors import RepositoryNotFoundException

seen = set()


def boto(server):
    return boto3.client(
        "ecr-public",
        "us-east-1",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.credentials.access_key_id,
        aws_secret_access_key=server.credentials.secret_access_key,
    )


@pytest.mark.parametrize("turn", [1, 2])
def test_blocking_code_has_an_empty_registry_of_its_own(ecr_public_server, turn):
    client = boto(ecr_public_server)
    assert client.describe_repositories()["repositories"] == []
    client.create_repository(repositoryName="team/app")
    seen.add(ecr_public_server.endpoint_url)
    client.close()


@pytest.mark.asyncio
async def test_the_client_and_the_server_are_one(ecr_public_server, ecr_public_client):
    await ecr_public_client.create_repository(repository_name="team/app")
    found = boto(ecr_public_server).describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in found] == ["team/app"]
    assert ecr_public_client.endpoint_url == ecr_public_server.endpoint_url


@pytest.mark.asyncio
async def test_the_client_raises_what_the_server_answers(ecr_public_client):
    with pytest.raises(RepositoryNotFoundException):
        await ecr_public_client.describe_images(repository_name="team/app")


@pytest.mark.ecr_public(credentials=Credentials("AKIDMINE", "mine"))
def test_the_mark_has_the_arguments(ecr_public_server):
    assert ecr_public_server.credentials.access_key_id == "AKIDMINE"
    assert boto(ecr_public_server).describe_registries()["registries"]


@pytest.fixture
def configured(ecr_public_server, monkeypatch):
    for name, value in ecr_public_server.environment.items():
        monkeypatch.setenv(name, value)


WITH_TOKEN = pytest.mark.ecr_public(credentials=Credentials("AKIDMINE", "mine", "a-token"))


@pytest.mark.asyncio
@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=WITH_TOKEN)])
async def test_code_that_makes_its_own_clients_is_led_there(configured, turn):
    async with ECRPublicClient() as client:
        await client.create_repository(repository_name="team/app")
    client = boto3.Session().client("ecr-public")
    assert len(client.describe_repositories()["repositories"]) == 1
    client.close()


def test_nothing_is_left_running():
    assert [thread.name for thread in threading.enumerate() if "aioecrpublic" in thread.name] == []
"""


CONFIGURED_TESTS = """
import os

import pytest

from aioecrpublic.local import Fault


@pytest.mark.asyncio
async def test_three_attempts_whatever_is_configured(ecr_public_server, ecr_public_client):
    ecr_public_server.inject(Fault(kind="lost", operation="DescribeRegistries"))
    response = await ecr_public_client.describe_registries()
    assert response.metadata.attempts == 2
    assert os.environ["AWS_PROFILE"] == "nobody"
    assert os.environ["AWS_CONFIG_FILE"].endswith("config")
"""


ANYIO_TESTS = """
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_the_client_is_there(ecr_public_client):
    await ecr_public_client.create_repository(repository_name="team/app")
"""


def run(
    directory: Path, *arguments: str, tests: str = USERS_TESTS, **variables: str
) -> subprocess.CompletedProcess[str]:
    (directory / "test_users.py").write_text(tests)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = kept | variables
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", *arguments],
        cwd=directory,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_users_tests_get_the_fixtures_without_asking(tmp_path: Path) -> None:
    done = run(tmp_path, AWS_SESSION_TOKEN="another account's")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


def test_what_the_machine_has_configured_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nretry_mode = unheard-of\n")
    done = run(
        tmp_path,
        tests=CONFIGURED_TESTS,
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_PROFILE="nobody",
        AWS_MAX_ATTEMPTS="1",
        HTTP_PROXY="http://127.0.0.1:1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_anyio_does_where_pytest_asyncio_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "pytest_asyncio.py").write_text("raise ImportError")
    done = run(tmp_path, "-p", "no:asyncio", tests=ANYIO_TESTS, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_fixtures_and_mark_explain_themselves(tmp_path: Path) -> None:
    assert "ecr_public_server" in run(tmp_path, "--fixtures").stdout
    assert "@pytest.mark.ecr_public(**options)" in run(tmp_path, "--markers").stdout


def test_unused_it_loads_nothing_of_weight() -> None:
    program = (
        "import sys, pytest, pytest_asyncio; before = set(sys.modules);"
        "import aioecrpublic.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {"aioecrpublic", "aioecrpublic._version", "aioecrpublic.pytest_plugin"}
