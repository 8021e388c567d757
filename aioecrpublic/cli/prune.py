"""``aioecrpublic prune``."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._common.text import printable
from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.output import write_json, write_line
from aioecrpublic.cli.progress import short
from aioecrpublic.cli.running import run_command
from aioecrpublic.manage import PruneRules
from aioecrpublic.manage import prune as prune_images

if TYPE_CHECKING:
    from aioecrpublic.manage import PlannedImage, PruneFailure, PruneResult

_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(context: click.Context, parameter: click.Parameter, value: str | None) -> dt.timedelta | None:
    """A duration out of ``12h``, ``30d`` or ``8w``."""
    if value is None:
        return None
    match = _AGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(
            f"{value!r} is not a number of hours, days or weeks such as 12h, 30d or 8w", context, parameter
        )
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(short_help="Show or delete images by rules.")
@click.argument("repository")
@click.option("--keep-newest", type=click.IntRange(min=0), metavar="N", help="Keep the newest N.")
@click.option("--older-than", callback=_age, metavar="AGE", help="Only older ones: 12h, 30d, 8w.")
@click.option("--untagged", is_flag=True, help="Only those without a tag.")
@click.option(
    "--remove-tag", "remove_tags", multiple=True, metavar="PATTERN", help="Only with tags like this."
)
@click.option("--keep-tag", "keep_tags", multiple=True, metavar="PATTERN", help="Never with a tag like this.")
@click.option("--apply", is_flag=True, help="Delete them; without this they are only shown.")
@click.option("--registry-url", metavar="URL", help="Where images are pulled from, if it is not AWS's.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to standard output.")
@connection_options
def prune(
    repository: str,
    keep_newest: int | None,
    older_than: dt.timedelta | None,
    remove_tags: tuple[str, ...],
    keep_tags: tuple[str, ...],
    registry_url: str | None,
    *,
    untagged: bool,
    apply: bool,
    as_json: bool,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
) -> None:
    """Show, and with --apply delete, the images of REPOSITORY for which all given rules hold.

    What an index lists or what is attached to an image stays and goes with that. At least one of
    --keep-newest, --older-than, --untagged and --remove-tag is needed.
    """

    async def work() -> None:
        rules = PruneRules(
            keep_newest=keep_newest,
            older_than=older_than,
            untagged_only=untagged,
            remove_tags=remove_tags,
            keep_tags=keep_tags,
        )
        async with make_client(endpoint_url, profile, region) as client:
            result = await prune_images(client, repository, rules, apply=apply, registry_url=registry_url)
        if as_json:
            write_json(_document(result))
        else:
            _show(result)
        if problems := _problems(result):
            raise ECRPublicError(problems)

    run_command(work(), interrupted="run the same command again; it plans anew from what is left")


def _problems(result: PruneResult) -> str:
    """Say in one line what did not go well, if something did not."""
    problems = []
    if result.failures:
        problems.append(f"{len(result.failures)} of {len(result.plan.images)} images could not be deleted")
    if result.unconfirmed:
        problems.append(f"it is not known whether {len(result.unconfirmed)} images are deleted")
    return "; ".join(problems)


def _show(result: PruneResult) -> None:
    console = Console()
    reasons = _reasons(result)
    rows = [_row(image, reasons[image.digest]) for image in result.plan.images]
    if console.is_terminal and rows:
        title = Text(printable(f"images of {result.plan.repository_name}"))
        table = Table("digest", "tags", "size", "why", title=title)
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    else:
        for digest, tags, size, why in rows:
            write_line(f"image {digest}{f' ({tags})' if tags else ''}, {size}: {why}")
    gone = result.deleted if result.applied else result.plan.images
    done = "deleted" if result.applied else "would be deleted"
    size = decimal(sum(image.size for image in gone))
    missing = f"; gone before: {len(result.missing)}" if result.missing else ""
    write_line(f"images {done}: {len(gone)} ({size}){missing}; kept: {len(result.plan.keep)}")


def _row(image: PlannedImage, why: str) -> list[str]:
    """What is shown of an image; the service or the image may have chosen any of it."""
    return [
        printable(text) for text in (short(image.digest), ", ".join(image.tags), decimal(image.size), why)
    ]


def _reasons(result: PruneResult) -> dict[str, str]:
    """What is said of each image of the plan, by its digest."""
    reasons = {image.digest: image.reason for image in result.plan.images}
    reasons |= {image.digest: "was gone before" for image in result.missing}
    for failures, what in ((result.failures, "not deleted"), (result.unconfirmed, "perhaps not deleted")):
        reasons |= {each.image.digest: f"{what}: {each.code}: {each.reason}" for each in failures}
    return reasons


def _document(result: PruneResult) -> dict[str, Any]:
    plan = result.plan
    return {
        "repository_name": plan.repository_name,
        "registry_id": plan.registry_id,
        "planned_at": plan.planned_at.isoformat() if plan.planned_at else None,
        "applied": result.applied,
        "bytes": plan.bytes,
        "remove": [_image(image) for image in plan.images],
        "keep": [_image(image) for image in plan.keep],
        "deleted": [image.digest for image in result.deleted],
        "missing": [image.digest for image in result.missing],
        "failures": [_failure(failure) for failure in result.failures],
        "unconfirmed": [_failure(failure) for failure in result.unconfirmed],
    }


def _image(image: PlannedImage) -> dict[str, Any]:
    return {
        "digest": image.digest,
        "tags": image.tags,
        "bytes": image.size,
        "pushed_at": image.pushed_at.isoformat() if image.pushed_at else None,
        "reason": image.reason,
        "belongs_to": image.belongs_to,
    }


def _failure(failure: PruneFailure) -> dict[str, str]:
    return {"digest": failure.image.digest, "code": failure.code, "reason": failure.reason}
