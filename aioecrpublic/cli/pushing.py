"""What ``push`` and ``copy`` have in common: their options, what they show, how they end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import attrs
import click
from rich.console import Console

from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.progress import display
from aioecrpublic.cli.running import run_command
from aioecrpublic.errors import ConfigurationError, ECRPublicError, RepositoryNotFoundException

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aioecrpublic.push import PushResult

_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])
_TARGET = re.compile(r"(?P<repository>[^:@\s]+)(?::(?P<tag>[^:@\s]+))?")
_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to standard output."),
    click.option("--create", is_flag=True, help="Make the repository if it is not there."),
    click.option("--journal", metavar="FILE", help="Remember unfinished layers here, to go on with them."),
    click.option(
        "--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Layers in flight."
    ),
    click.option(
        "--compress/--no-compress",
        default=None,
        help="Compress uncompressed layers, or do not.  [default: only those of docker save]",
    ),
    click.option("--referrers", is_flag=True, help="Signatures, attestations and SBOMs too."),
    click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Only this platform."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A further tag; may be repeated."),
)


class PushOptions(TypedDict):
    """The values of ``push_options``."""

    tags: tuple[str, ...]
    platforms: tuple[str, ...]
    referrers: bool
    compress: bool | None
    jobs: int
    journal: str | None
    create: bool
    as_json: bool
    endpoint_url: str | None
    profile: str | None
    region: str | None


def push_options(command: _CommandT) -> _CommandT:
    """Add the options of ``PushOptions`` to a command."""
    command = connection_options(command)
    for option in _OPTIONS:
        command = option(command)
    return command


def run_push(
    push: Callable[..., Awaitable[PushResult]], source: str, target: str, options: PushOptions
) -> None:
    """Push the image ``source`` to ``target`` by ``push_image`` or ``copy_image``, and show how it goes."""
    journal = options["journal"]

    async def work() -> None:
        repository, tags = parse_target(target, options["tags"])
        with display(Console(stderr=True)) as show:
            async with make_client(options["endpoint_url"], options["profile"], options["region"]) as client:
                try:
                    result = await push(
                        client,
                        source,
                        repository,
                        # Without any, the tags are those that the called function chooses.
                        **({"tags": tags} if tags else {}),
                        jobs=options["jobs"],
                        platforms=list(options["platforms"]) or None,
                        journal=journal,
                        create_repository=options["create"],
                        on_event=show,
                        referrers=options["referrers"],
                        compress=options["compress"],
                    )
                except RepositoryNotFoundException as error:
                    raise ECRPublicError(f"{error}; --create makes it") from error
        if options["as_json"]:
            click.echo(json.dumps(attrs.asdict(result)))

    run_command(work(), interrupted=_how_to_go_on(journal))


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


def _how_to_go_on(journal: str | None) -> str:
    """What to say on Ctrl-C."""
    if journal is None:
        return "run the same command again; finished layers are not sent again"
    return f"run the same command again with --journal {journal}; it goes on in the middle of the layers"
