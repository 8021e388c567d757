"""``aioecrpublic copy``: an image of another registry into a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aioecrpublic.cli.pushing import push_options, run_push
from aioecrpublic.push import copy_image
from aioecrpublic.push.copy import registry_image

if TYPE_CHECKING:
    from typing import Unpack

    from aioecrpublic.cli.pushing import PushOptions


@click.command(short_help="Copy an image from another registry.")
@click.argument("source", metavar="docker://HOST/REPOSITORY:TAG")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@push_options
def copy(source: str, target: str, **options: Unpack[PushOptions]) -> None:
    """Copy an image from another registry to REPOSITORY, under TAG or else the tag that it has there.

    Credentials for the other registry are those that 'docker login' has left. Only layers that the repository
    lacks are read; nothing is stored on disk.
    """
    run_push(copy_image, registry_image, source, target, options)
