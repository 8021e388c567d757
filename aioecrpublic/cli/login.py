"""``aioecrpublic login``."""

from __future__ import annotations

import json

import click

from aioecrpublic.cli.connecting import connection_options, make_client
from aioecrpublic.cli.running import run_command
from aioecrpublic.manage import TOKEN_REGION, use_credential_helper
from aioecrpublic.manage import login as log_in


@click.command(short_help="Log docker, skopeo and buildah in.")
@click.option("--config", metavar="FILE", help="Docker's configuration file; the usual one if not given.")
@click.option("--registry", metavar="HOST", default="public.ecr.aws", show_default=True, help="The registry.")
@click.option(
    "--helper",
    is_flag=True,
    help="Have docker ask docker-credential-aioecrpublic instead: a login that does not run out.",
)
@click.option("--json", "as_json", is_flag=True, help="Write what was done as JSON to standard output.")
@connection_options
def login(
    config: str | None,
    registry: str,
    *,
    helper: bool,
    as_json: bool,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
) -> None:
    """Log docker, skopeo and buildah in to ECR Public; without --helper for 12 hours.

    The region is us-east-1, the only one that gives passwords, whatever is configured.
    """

    async def work() -> None:
        expires = None
        if helper:
            await use_credential_helper(config, registry=registry)
        else:
            async with make_client(endpoint_url, profile, region or TOKEN_REGION) as client:
                token = await log_in(client, config, registry=registry)
            expires = token.expires_at.isoformat(timespec="seconds")
        if as_json:
            click.echo(json.dumps({"registry": registry, "helper": helper, "expires_at": expires}))
        elif expires:
            click.echo(f"logged in to {registry} until {expires}")
        else:
            click.echo(f"docker asks docker-credential-aioecrpublic for {registry} from now on")

    run_command(work(), interrupted="docker's configuration file is either as it was or complete")
