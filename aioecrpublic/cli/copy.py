"""``aioecrpublic copy``."""

from __future__ import annotations

import json

import attrs
import click
from rich.console import Console

from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.progress import display
from aioecrpublic.cli.push import how_to_go_on, parse_target
from aioecrpublic.cli.running import run_command
from aioecrpublic.push import copy_image


@click.command(short_help="Copy an image from another registry.")
@click.argument("source", metavar="docker://HOST/REPOSITORY:TAG")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A further tag; may be repeated.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Only this platform.")
@click.option("--referrers", is_flag=True, help="Also copy signatures, attestations and SBOMs.")
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Layers in flight.")
@click.option("--journal", metavar="FILE", help="Remember unfinished layers here, to go on with them.")
@click.option("--create", is_flag=True, help="Make the repository if it is not there.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to standard output.")
@connection_options
def copy(
    source: str,
    target: str,
    tags: tuple[str, ...],
    platforms: tuple[str, ...],
    jobs: int,
    journal: str | None,
    *,
    referrers: bool,
    create: bool,
    as_json: bool,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
) -> None:
    """Copy an image from another registry to REPOSITORY, under TAG or else the tag that it has there.

    Credentials for the other registry are those that 'docker login' has left. Only layers that the repository
    lacks are read; nothing is stored on disk.
    """

    async def work() -> None:
        repository, all_tags = parse_target(target, tags)
        with display(Console(stderr=True)) as show:
            async with make_client(endpoint_url, profile, region) as client:
                result = await copy_image(
                    client,
                    source,
                    repository,
                    all_tags or None,
                    jobs=jobs,
                    platforms=list(platforms) or None,
                    journal=journal,
                    create_repository=create,
                    on_event=show,
                    referrers=referrers,
                )
        if as_json:
            click.echo(json.dumps(attrs.asdict(result)))

    run_command(work(), interrupted=how_to_go_on(journal))
