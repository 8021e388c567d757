"""Programs run to their end by tests, with an environment that leads nowhere but to the test's registry."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.local import LocalECRPublic


@attrs.frozen
class Finished:
    """A program that has ended."""

    status: int
    output: str
    errors: str


def environment(home: Path, server: LocalECRPublic | None = None) -> dict[str, str]:
    """Ours without AWS's variables, then those that lead to ``server``."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    found |= {
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "100",
    }
    if server is not None:
        found |= {
            "AWS_ENDPOINT_URL_ECR_PUBLIC": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        }
    return found


async def run(*arguments: str, cwd: Path, env: dict[str, str]) -> Finished:
    """Run Python with ``arguments`` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    output, errors = await process.communicate()
    return Finished(process.returncode or 0, output.decode(), errors.decode())
