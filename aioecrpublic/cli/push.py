"""``aioecrpublic push``: an image from disk into a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aioecrpublic.cli.pushing import push_options, run_push
from aioecrpublic.push import push_image

if TYPE_CHECKING:
    from typing import Unpack

    from aioecrpublic.cli.pushing import PushOptions


@click.command(short_help="Push an image from disk.")
@click.argument("source")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@push_options
def push(source: str, target: str, **options: Unpack[PushOptions]) -> None:
    """Push the image SOURCE to REPOSITORY, under TAG if it is given.

    SOURCE is oci:DIR[:ref], oci-archive:FILE[:ref], docker-archive:FILE[:ref], docker://HOST/REPOSITORY:TAG,
    or a path whose kind is found out.
    """
    run_push(push_image, source, target, options)
