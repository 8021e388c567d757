"""What ``push`` and ``copy`` have in common: their options, what they show, how they end."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import attrs
import click
from rich.console import Console

from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.output import write_error, write_json
from aioecrpublic.cli.progress import display
from aioecrpublic.cli.running import IncompleteError, UsageError, run_command
from aioecrpublic.errors import (
    ConfigurationError,
    ECRPublicError,
    ImageError,
    RepositoryNotFoundException,
    ValidationError,
)
from aioecrpublic.images import Platform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence

    from aioecrpublic.images import ImageSource
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
    push: Callable[..., Awaitable[PushResult]],
    open_source: Callable[[str], ImageSource],
    source: str,
    target: str,
    options: PushOptions,
) -> None:
    """Push an image, and show how it goes.

    Args:
        push: ``push_image`` or ``copy_image``.
        open_source: Makes a source of its name, or refuses it.
        source: The image's name.
        target: Where it goes.
        options: What ``push_options`` were given.
    """
    journal = options["journal"]

    async def work() -> None:
        repository, tags = parse_target(target, options["tags"])
        _check_names(open_source, source, options["platforms"])
        with display(Console(stderr=True)) as show, wrong_calls():
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
            write_json(attrs.asdict(result))
        _require_referrers(result)

    run_command(work(), interrupted=_how_to_go_on(journal))


@contextmanager
def wrong_calls() -> Generator[None]:
    """Tell wrong calls from failures.

    Raises:
        UsageError: There is nothing at the path of the image, or a name cannot be; nothing was sent.
    """
    try:
        yield
    except ValidationError as error:
        raise UsageError(str(error)) from error
    except ImageError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise UsageError(str(error)) from error
        raise


def _require_referrers(result: PushResult) -> None:
    """Tell what is attached to the image and could not be pushed.

    Raises:
        IncompleteError: There is something.
    """
    for failure in result.referrers_failed:
        write_error(f"referrer {failure.digest}: {failure.reason}")
    if count := len(result.referrers_failed):
        raise IncompleteError(f"the image is pushed, {count} of what is attached to it could not be")


def _check_names(open_source: Callable[[str], ImageSource], source: str, platforms: Sequence[str]) -> None:
    """Refuse a name of a source or a platform that has a wrong form; nothing is read for that.

    Raises:
        UsageError: One has.
    """
    try:
        open_source(source)
        for platform in platforms:
            Platform.parse(platform)
    except (ConfigurationError, ImageError) as error:
        raise UsageError(str(error)) from error


def parse_target(target: str, tags: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The repository's name, and its tag followed by the further ones.

    Raises:
        UsageError: It has another form than ``REPOSITORY[:TAG]``.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise UsageError(f"{target!r} is not REPOSITORY or REPOSITORY:TAG")
    first = match["tag"]
    return match["repository"], ((first, *tags) if first else tags)


def _how_to_go_on(journal: str | None) -> str:
    """What to say on Ctrl-C."""
    if journal is None:
        return "run the same command again; finished layers are not sent again"
    return f"run the same command again with --journal {journal}; it goes on in the middle of the layers"
