"""``aioecrpublic demo``: the main job, from an image on disk to an image in a registry and back."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from aioecrpublic.cli.progress import display
from aioecrpublic.cli.running import run_command
from aioecrpublic.cli.sample import build_sample
from aioecrpublic.client import ECRPublicClient
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import push_image

if TYPE_CHECKING:
    from aioecrpublic.push import PushResult

_REPOSITORY = "demo/python"
_TAGS = ("1.0", "latest")


@click.command()
@click.option("--image", metavar="SOURCE", help="An image of your own instead of the one that is made.")
def demo(image: str | None) -> None:
    """Push a real image to a local registry, describe it, and push it again."""

    async def work() -> None:
        console = Console()
        with tempfile.TemporaryDirectory(prefix="aioecrpublic-demo-") as directory:
            source = image or await _sample(console, Path(directory))
            async with LocalECRPublic() as server:
                console.print(f"A local ECR Public listens at {server.endpoint_url}.")
                client = ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials)
                async with client:
                    await _push(console, client, source)
                    await _describe(console, client)
                    console.print("Pushing the same image again:")
                    again = await _push(console, client, source)
                    console.print(
                        f"[bold green]All {again.layers_skipped} layers were skipped[/], "
                        f"{decimal(again.bytes_uploaded)} sent."
                    )

    run_command(work())


async def _sample(console: Console, directory: Path) -> str:
    console.print("Making an image out of Python's standard library and this package's dependencies …")
    await asyncio.to_thread(build_sample, directory)
    return f"oci:{directory}:demo"


async def _push(console: Console, client: ECRPublicClient, source: str) -> PushResult:
    with display(console) as show:
        return await push_image(client, source, _REPOSITORY, _TAGS, create_repository=True, on_event=show)


async def _describe(console: Console, client: ECRPublicClient) -> None:
    table = Table(title=f"describe_images of {_REPOSITORY}")
    for column in ("digest", "tags", "size", "pushed", "media type"):
        table.add_column(column, overflow="fold")
    async for detail in client.paginate_describe_images(repository_name=_REPOSITORY):
        pushed = detail.image_pushed_at
        table.add_row(
            detail.image_digest,
            ", ".join(detail.image_tags),
            decimal(detail.image_size_in_bytes or 0),
            pushed.isoformat(timespec="seconds") if pushed else "",
            detail.image_manifest_media_type,
        )
    console.print(table)
