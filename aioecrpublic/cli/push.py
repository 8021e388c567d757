"""``aioecrpublic push``: an image from disk into a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aioecrpublic.cli.pushing import push_options, run_push
from aioecrpublic.images import open_image
from aioecrpublic.push import push_image

if TYPE_CHECKING:
    from typing import Unpack

    from aioecrpublic.cli.pushing import PushOptions


@click.command(short_help="Push an image from disk.")
@click.argument("source")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@push_options
def push(source: str, target: str, **options: Unpack[PushOptions]) -> None:
    """Push the image SOURCE to REPOSITORY, under TAG or else the one tag that it has in its archive.

    SOURCE is oci:DIR[:ref], oci-archive:FILE[:ref], docker-archive:FILE[:ref], dir:DIR,
    docker://HOST/REPOSITORY:TAG, a path whose kind is found out, or - for an archive on standard input.
    Archives may be compressed by gzip, zstd, xz or bzip2.
    """
    run_push(push_image, open_image, source, target, options)
