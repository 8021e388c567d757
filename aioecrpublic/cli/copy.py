"""``aioecrpublic copy``: an image of another registry into a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aioecrpublic.cli.pushing import push_options, run_push
from aioecrpublic.push import copy_image
from aioecrpublic.push.copy import registry_image

if TYPE_CHECKING:
    from typing import Unpack

    from aioecrpublic.cli.pushing import PushOptions
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import RegistryImage
    from aioecrpublic.push import PushResult


@click.command(short_help="Copy an image from another registry.")
@click.argument("source", metavar="docker://HOST/REPOSITORY:TAG")
@click.argument("target", metavar="REPOSITORY[:TAG]")
@click.option("--src-ca", metavar="FILE", help="Trust these certificates for the other registry.")
@click.option(
    "--src-tls-verify",
    type=click.BOOL,
    is_flag=False,
    flag_value=True,
    default=True,
    metavar="BOOLEAN",
    help="False takes any certificate of the other registry.  [default: true]",
)
@click.option("--no-src-tls-verify", is_flag=True, help="The same as --src-tls-verify=false.")
@click.option("--src-plain-http", is_flag=True, help="Read from the other registry by http.")
@push_options
def copy(
    source: str,
    target: str,
    *,
    src_ca: str | None,
    src_tls_verify: bool,
    no_src_tls_verify: bool,
    src_plain_http: bool,
    **options: Unpack[PushOptions],
) -> None:
    """Copy an image from another registry to REPOSITORY, under TAG or else the tag that it has there.

    Credentials for the other registry are those that 'docker login' has left. Only layers that the repository
    lacks are read; nothing is stored on disk.
    """

    def open_source(name: str) -> RegistryImage:
        return registry_image(
            name,
            ca_file=src_ca,
            verify_tls=src_tls_verify and not no_src_tls_verify,
            insecure=True if src_plain_http else None,
        )

    async def copy_from(client: ECRPublicClient, name: str, repository: str, **arguments: Any) -> PushResult:
        return await copy_image(client, open_source(name), repository, **arguments)

    run_push(copy_from, open_source, source, target, options)
