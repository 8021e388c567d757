"""``aioecrpublic local``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from aioecrpublic.cli.running import run_command
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage.reading import REGISTRY_URL

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(short_help="Serve a local ECR Public.")
@click.option("--data-dir", metavar="DIR", help="Keep everything here; a temporary directory if not given.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; a free one if 0.")
@click.option("--quotas", is_flag=True, help="Answer ThrottlingException beyond the service's quotas.")
@click.option(
    "--latency",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Let every request wait so long.",
)
def local(data_dir: str | None, host: str, port: int, *, quotas: bool, latency: float) -> None:
    """Serve a local ECR Public until interrupted, and say which variables lead clients to it."""

    async def work() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        async with LocalECRPublic(data_dir, host, port, quotas=quotas, latency=latency) as server:
            for line in _exports(server):
                click.echo(line)
            await stopped.wait()

    run_command(work())


def _exports(server: LocalECRPublic) -> Iterator[str]:
    credentials = server.credentials
    yield f"export AWS_ENDPOINT_URL_ECR_PUBLIC={server.endpoint_url}"
    yield "export AWS_REGION=us-east-1"
    yield "export AWS_DEFAULT_REGION=us-east-1"
    yield f"export AWS_ACCESS_KEY_ID={credentials.access_key_id}"
    yield f"export AWS_SECRET_ACCESS_KEY={credentials.secret_access_key}"
    if credentials.session_token:
        yield f"export AWS_SESSION_TOKEN={credentials.session_token}"
    yield f"export {REGISTRY_URL}={server.registry_url}"
