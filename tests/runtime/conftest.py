from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials, ECRPublicClient
from tests.support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with Wire() as server:
        yield server


@pytest.fixture
async def client(wire: Wire) -> AsyncIterator[ECRPublicClient]:
    """A client of ``wire`` that does not wait between attempts."""
    credentials = Credentials("AKIDEXAMPLE", "a-secret")
    async with ECRPublicClient("us-east-1", wire.url, credentials, rate_limits=False) as made:
        yield made


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Next to no waiting between attempts; how long each wait was."""
    noted: list[float] = []

    def backoff(*_: object) -> float:
        noted.append(0.001)
        return noted[-1]

    monkeypatch.setattr("aioecrpublic._runtime.call.backoff", backoff)
    return noted
