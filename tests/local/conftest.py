from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic
from tests.local.sdks import Boto3

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[LocalECRPublic]:
    """A registry in a thread of its own: SDKs that block may talk to it."""
    with BackgroundECRPublic(LocalECRPublic()) as background:
        yield background.registry


@pytest.fixture
def call(server: LocalECRPublic) -> Iterator[Boto3]:
    """The registry by boto3."""
    client = Boto3(server)
    yield client
    client.close()
