"""The options that say which registry is meant, and the client they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aioecrpublic.client import ECRPublicClient

_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


def connection_options(command: _CommandT) -> _CommandT:
    """Add ``--endpoint-url``, ``--profile`` and ``--region`` to a command."""
    region = click.option("--region", metavar="NAME", help="The region; the configured one if not given.")
    return account_options(region(command))


def account_options(command: _CommandT) -> _CommandT:
    """Add ``--endpoint-url`` and ``--profile`` to a command that knows its region."""
    for option in (
        click.option("--profile", metavar="NAME", help="The profile of the AWS configuration to use."),
        click.option(
            "--endpoint-url", metavar="URL", help="Another ECR Public, such as that of 'aioecrpublic local'."
        ),
    ):
        command = option(command)
    return command


def make_client(endpoint_url: str | None, profile: str | None, region: str | None) -> ECRPublicClient:
    """The client that the options ask for."""
    return ECRPublicClient(
        endpoint_url=endpoint_url, profile=profile, region=region, user_agent_extra="md/command"
    )
