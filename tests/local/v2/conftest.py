from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.v2.helpers import Registry, logged_in

if TYPE_CHECKING:
    from aioecrpublic.local import LocalECRPublic
    from tests.local.rules.helpers import Boto


@pytest.fixture
def registry(server: LocalECRPublic, client: Boto, repository: str) -> Registry:
    return logged_in(server, client, repository)


@pytest.fixture
def token(registry: Registry) -> str:
    return str(registry.authorization).removeprefix("Bearer ")
