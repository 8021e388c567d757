"""``aioecrpublic login``."""

from __future__ import annotations

import click

from aioecrpublic._common.addresses import REGISTRY_URL
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.cli.connecting import account_options, make_client
from aioecrpublic.cli.output import write_json, write_line
from aioecrpublic.cli.running import run_command
from aioecrpublic.manage import TOKEN_REGION, use_credential_helper
from aioecrpublic.manage import login as log_in
from aioecrpublic.manage.registry_hosts import PUBLIC_HOSTS, configured_host, helper_hosts

_PUBLIC = PUBLIC_HOSTS[0]


@click.command(short_help="Log docker, skopeo and buildah in.")
@click.option("--config", metavar="FILE", help="Docker's configuration file; the usual one if not given.")
@click.option(
    "--registry",
    metavar="HOST",
    help=f"The registry; {_PUBLIC} if not given, or the host of {REGISTRY_URL}.",
)
@click.option(
    "--helper",
    is_flag=True,
    help="Have docker ask docker-credential-aioecrpublic instead: a login that does not run out.",
)
@click.option("--json", "as_json", is_flag=True, help="Write what was done as JSON to standard output.")
@account_options
def login(
    config: str | None,
    registry: str | None,
    *,
    helper: bool,
    as_json: bool,
    endpoint_url: str | None,
    profile: str | None,
) -> None:
    """Log docker, skopeo and buildah in to ECR Public; without --helper for 12 hours.

    The region is us-east-1, the only one that gives passwords, whatever is configured.
    """

    async def work() -> None:
        named = registry or configured_host()
        host, expires = named or _PUBLIC, None
        if helper:
            await use_credential_helper(config, registry=None if named is None else _helped(named))
        else:
            async with make_client(endpoint_url, profile, TOKEN_REGION) as client:
                token = await log_in(client, config, registry=host)
            expires = token.expires_at.isoformat(timespec="seconds")
        if as_json:
            write_json({"registry": host, "helper": helper, "expires_at": expires})
        elif expires:
            write_line(f"logged in to {host} until {expires}")
        else:
            hosts = named or " and ".join(PUBLIC_HOSTS)
            write_line(f"docker asks docker-credential-aioecrpublic for {hosts} from now on")

    run_command(work(), interrupted="docker's configuration file is either as it was or complete")


def _helped(host: str) -> str:
    """Return a host, and refuse one that the helper has no password for: docker would have to ask in vain."""
    if host not in helper_hosts():
        raise ConfigurationError(
            f"docker-credential-aioecrpublic gives no password for {host!r}; --registry must be one of "
            f"{', '.join(helper_hosts())}"
        )
    return host
