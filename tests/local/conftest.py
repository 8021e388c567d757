from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.rules.helpers import OTHER, OTHER_ACCOUNT, Boto, Clock, boto, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic.local import LocalECRPublic


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[LocalECRPublic]:
    """A registry in a thread of its own, where SDKs that block may talk to it, known to two accounts."""
    with running(accounts={OTHER_ACCOUNT: OTHER}, clock=clock) as registry:
        yield registry


@pytest.fixture
def client(server: LocalECRPublic) -> Boto:
    return boto(server)


@pytest.fixture
def repository(client: Boto) -> str:
    client.create_repository(repositoryName="team/app")
    return "team/app"
