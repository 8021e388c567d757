"""A client of a local registry on which nothing counts that the machine has configured for AWS."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aioecrpublic.client import ECRPublicClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from aioecrpublic.local.server import LocalECRPublic

_NOWHERE = str(Path(os.devnull) / "none")
_FILES = {"AWS_CONFIG_FILE": _NOWHERE, "AWS_SHARED_CREDENTIALS_FILE": _NOWHERE}


@contextlib.asynccontextmanager
async def unconfigured_client(server: LocalECRPublic) -> AsyncGenerator[ECRPublicClient]:
    """An open client of ``server``: profiles, attempts and modes that somebody has set do not matter."""
    client = ECRPublicClient("us-east-1", server.endpoint_url, server.credentials)
    # A client reads its configuration when it is opened, and only then.
    with _unconfigured():
        await client.open()
    async with client:
        yield client


@contextlib.contextmanager
def _unconfigured() -> Generator[None]:
    """Take AWS's variables away and the shared files out of sight."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in ours:
        del os.environ[name]
    os.environ.update(_FILES)
    try:
        yield
    finally:
        for name in _FILES:
            del os.environ[name]
        os.environ.update(ours)
