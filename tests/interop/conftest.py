"""A registry in a thread of its own: programs that are waited for talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[LocalECRPublic]:
    with BackgroundECRPublic(LocalECRPublic()) as background:
        yield background.registry
