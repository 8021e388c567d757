"""``aioecrpublic catalog``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import attrs
import click
from rich.console import Console

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.output import print_line, write_json
from aioecrpublic.cli.running import run_command
from aioecrpublic.manage import sync_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic.manage import CatalogChange, CatalogResult

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command(short_help="Show or send a repository's page in the gallery, kept as files.")
@click.argument("directory")
@click.argument("repository")
@click.option("--apply", is_flag=True, help="Send it; without this the differences are only shown.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to standard output.")
@connection_options
def catalog(
    directory: str,
    repository: str,
    *,
    apply: bool,
    as_json: bool,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
) -> None:
    """Show, and with --apply send, what DIRECTORY says about REPOSITORY in the gallery.

    DIRECTORY holds about.md, usage.md, a logo as logo.png or logo.jpg, and catalog.toml with description,
    architectures and operating_systems. What is not in it is removed from the page.
    """

    async def work() -> None:
        async with make_client(endpoint_url, profile, region) as client:
            result = await sync_catalog(client, repository, directory, apply=apply)
        if as_json:
            write_json({**attrs.asdict(result), "sent": result.sent})
        else:
            _show(result)
        if problem := _problem(result):
            raise ECRPublicError(problem)

    run_command(work(), interrupted="run the same command again; the page is either as it was or complete")


def _problem(result: CatalogResult) -> str | None:
    members = ", ".join(result.unconfirmed)
    if result.failure is not None:
        return f"it is not known whether {members} arrived: {result.failure}"
    return f"the service still shows another {members} than was sent" if members else None


def _show(result: CatalogResult) -> None:
    console = Console()
    for change in result.changes:
        for line in _differences(change):
            print_line(console, line, _STYLES.get(line[:1], ""))
    for note in result.notes:
        print_line(console, f"note: {note}")
    if not result.changes:
        done = "nothing differs, nothing was sent"
    else:
        members = ", ".join(change.member for change in result.changes)
        done = f"{'sent' if result.sent else 'would be sent'}: {members}"
    print_line(console, f"{result.repository_name}: {done}")


def _differences(change: CatalogChange) -> Iterator[str]:
    """A unified diff from the page to the file."""
    before, after = _lines(change.before), _lines(change.after)
    yield from difflib.unified_diff(before, after, change.member, change.file, lineterm="")


def _lines(value: str | tuple[str, ...] | None) -> list[str]:
    return (value or "").splitlines() if isinstance(value, str | None) else list(value)
