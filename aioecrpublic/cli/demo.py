"""``aioecrpublic demo``: the main job, from an image on disk to an image in a registry and back."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from aioecrpublic._common.text import printable
from aioecrpublic.cli.output import print_line
from aioecrpublic.cli.progress import display
from aioecrpublic.cli.pushing import wrong_calls
from aioecrpublic.cli.running import run_command
from aioecrpublic.cli.sample import build_sample
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.unconfigured import unconfigured_client
from aioecrpublic.push import push_image

if TYPE_CHECKING:
    from aioecrpublic._generated.types import ImageDetail
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.push import PushResult

_REPOSITORY = "demo/python"
_TAGS = ("1.0", "latest")


@click.command(short_help="Push a real image to a local registry, and push it again.")
@click.option("--image", metavar="SOURCE", help="An image of your own instead of the one that is made.")
def demo(image: str | None) -> None:
    """Push a real image to a local registry, describe it, and push it again."""

    async def work() -> None:
        console = Console()
        with tempfile.TemporaryDirectory(prefix="aioecrpublic-demo-") as directory:
            source = image or await _sample(console, Path(directory))
            async with LocalECRPublic() as server:
                print_line(console, f"A local ECR Public listens at {server.endpoint_url}.")
                async with unconfigured_client(server) as client:
                    await _push(console, client, source)
                    await _describe(console, client)
                    print_line(console, "Pushing the same image again:")
                    again = await _push(console, client, source)
                    skipped = f"All {again.layers_skipped} layers were skipped"
                    print_line(console, f"{skipped}, {decimal(again.bytes_uploaded)} sent.", "bold green")

    run_command(work())


async def _sample(console: Console, directory: Path) -> str:
    print_line(console, "Making an image out of Python's standard library and this package's dependencies …")
    given_up = threading.Event()
    building = asyncio.ensure_future(asyncio.to_thread(build_sample, directory, given_up))
    try:
        await asyncio.shield(building)
    except asyncio.CancelledError:
        # The directory can only be removed once nobody writes into it.
        given_up.set()
        await asyncio.wait([building])
        raise
    return f"oci:{directory}:demo"


async def _push(console: Console, client: ECRPublicClient, source: str) -> PushResult:
    with display(console) as show, wrong_calls():
        return await push_image(client, source, _REPOSITORY, _TAGS, create_repository=True, on_event=show)


async def _describe(console: Console, client: ECRPublicClient) -> None:
    print_line(console, f"describe_images says of {_REPOSITORY}:")
    async for detail in client.paginate_describe_images(repository_name=_REPOSITORY):
        console.print(_table(detail))


def _table(detail: ImageDetail) -> Table:
    """What the registry knows of an image, a line a fact; a digest fits into 80 columns."""
    pushed = detail.image_pushed_at
    facts = {
        "digest": detail.image_digest or "",
        "tags": ", ".join(detail.image_tags),
        "size": decimal(detail.image_size_in_bytes or 0),
        "pushed": f"{pushed:%Y-%m-%d %H:%M:%S %Z}" if pushed else "",
        "type": detail.image_manifest_media_type or "",
    }
    table = Table.grid("fact", "value", padding=(0, 1))
    for fact, value in facts.items():
        table.add_row(fact, Text(printable(value)))
    return table
