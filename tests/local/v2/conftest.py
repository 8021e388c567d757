from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.rules.helpers import OTHER, OTHER_ACCOUNT, Boto, Clock, boto, running
from tests.local.v2.helpers import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic.local import LocalECRPublic


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[LocalECRPublic]:
    with running(accounts={OTHER_ACCOUNT: OTHER}, clock=clock) as registry:
        yield registry


@pytest.fixture
def client(server: LocalECRPublic) -> Boto:
    made = boto(server)
    made.create_repository(repositoryName="team/app")
    return made


@pytest.fixture
def token(client: Boto) -> str:
    answer: str = client.get_authorization_token()["authorizationData"]["authorizationToken"]
    return answer


@pytest.fixture
def registry(server: LocalECRPublic, token: str) -> Registry:
    return Registry(server.registry_url, "local/team/app", f"Bearer {token}")
