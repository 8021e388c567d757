"""A local ECR Public and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local import LocalECRPublic
from tests.manage.helpers import Repository
from tests.push.helpers import REPOSITORY, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aioecrpublic import ECRPublicClient


@pytest.fixture
async def server() -> AsyncIterator[LocalECRPublic]:
    async with LocalECRPublic() as server:
        yield server


@pytest.fixture
async def client(server: LocalECRPublic) -> AsyncIterator[ECRPublicClient]:
    """A client of ``server``, whose repository is there."""
    async with connect(server) as client:
        await client.create_repository(repository_name=REPOSITORY)
        yield client


@pytest.fixture
def repository(server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path) -> Repository:
    return Repository(server, client, tmp_path / "images")
