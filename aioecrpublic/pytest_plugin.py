"""Fixtures for tests of code that talks to ECR Public; pytest finds them by itself.

::

    async def test_release(ecr_public_server, ecr_public_client):
        await ecr_public_client.create_repository(repository_name="team/app")
        await release(endpoint_url=ecr_public_server.endpoint_url)

    @pytest.mark.ecr_public(settings=Settings(part_size=5 * 1024 * 1024))
    def test_with_boto3(ecr_public_server):
        client = boto3.client("ecr-public", "us-east-1", endpoint_url=ecr_public_server.endpoint_url, ...)

Every test that asks for the server has one of its own, empty and on a free port of the loopback interface, in
a thread of its own: a test may block. The client needs pytest-asyncio, or anyio's plugin without it; what the
machine has configured for AWS does not reach it. Code that makes its own client is led to the server by
``ecr_public_server.environment``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # anyio's plugin runs fixtures that are coroutines by itself
    from pytest import fixture as async_fixture  # type: ignore[no-redef]  # noqa: PT013

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic

_MARK = "ecr_public"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", f"{_MARK}(**options): arguments of LocalECRPublic for the test's ecr_public_server"
    )


@pytest.fixture
def ecr_public_server(request: pytest.FixtureRequest) -> Generator[LocalECRPublic, None, None]:
    """A running ECR Public that only this test knows; ``@pytest.mark.ecr_public(...)`` has its arguments."""
    # Imported here: a run that does not use the fixture does not wait for it.
    from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic

    options: dict[str, object] = {}
    for mark in request.node.iter_markers(_MARK):
        options = {**mark.kwargs, **options}
    with BackgroundECRPublic(LocalECRPublic(**options)) as background:  # type: ignore[arg-type]
        yield background.registry


@async_fixture
async def ecr_public_client(
    ecr_public_server: LocalECRPublic,
) -> AsyncGenerator[ECRPublicClient, None]:
    """An open client of the test's ``ecr_public_server``."""
    from aioecrpublic.local.unconfigured import unconfigured_client

    async with unconfigured_client(ecr_public_server) as client:
        yield client
