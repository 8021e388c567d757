"""``aioecrpublic push``."""

from __future__ import annotations

import json
import re

import attrs
import click
from rich.console import Console

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.progress import display
from aioecrpublic.cli.running import run_command
from aioecrpublic.push import push_image

_TARGET = re.compile(r"(?P<repository>[^:@\s]+)(?::(?P<tag>[^:@\s]+))?")


@click.command(short_help="Push an image from disk.")
@click.argument("source")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A further tag; may be repeated.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Only this platform.")
@click.option("--referrers", is_flag=True, help="Also push signatures, attestations and SBOMs.")
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Layers in flight.")
@click.option("--journal", metavar="FILE", help="Remember unfinished layers here, to go on with them.")
@click.option("--create", is_flag=True, help="Make the repository if it is not there.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to standard output.")
@connection_options
def push(
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
    """Push the image SOURCE to REPOSITORY, under TAG if it is given.

    SOURCE is oci:DIR[:ref], oci-archive:FILE[:ref], docker-archive:FILE[:ref], docker://HOST/REPOSITORY:TAG,
    or a path whose kind is found out.
    """

    async def work() -> None:
        repository, all_tags = parse_target(target, tags)
        with display(Console(stderr=True)) as show:
            async with make_client(endpoint_url, profile, region) as client:
                result = await push_image(
                    client,
                    source,
                    repository,
                    all_tags,
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


def parse_target(target: str, tags: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The repository's name, and its tag followed by the further ones.

    Raises:
        ConfigurationError: It has another form than ``REPOSITORY[:TAG]``.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ConfigurationError(f"{target!r} is not REPOSITORY or REPOSITORY:TAG")
    first = match["tag"]
    return match["repository"], ((first, *tags) if first else tags)


def how_to_go_on(journal: str | None) -> str:
    """What to say on Ctrl-C."""
    if journal is None:
        return "run the same command again; finished layers are not sent again"
    return f"run the same command again with --journal {journal}; it goes on in the middle of the layers"
