"""``aioecrpublic local``."""

from __future__ import annotations

import asyncio
import signal

import click

from aioecrpublic._common.addresses import is_loopback
from aioecrpublic.cli.output import write_error, write_line
from aioecrpublic.cli.running import run_command
from aioecrpublic.local import LocalECRPublic


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
            if not is_loopback(host.strip("[]")):
                write_error(f"warning: who reaches {host} may pull, and push with the credentials below")
            write_error("serving until Ctrl-C; these lines lead another terminal here:")
            for name, value in server.environment.items():
                write_line(f"export {name}={value}")
            await stopped.wait()

    run_command(work())
