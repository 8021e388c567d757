"""The commands and their common options."""

from __future__ import annotations

import importlib

import click

from aioecrpublic._version import __version__

_COMMANDS = ("catalog", "copy", "demo", "local", "login", "prune", "push")


class _Commands(click.Group):
    """Commands that are loaded when they are called: a push needs no server, a login no bars."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"aioecrpublic.cli.{cmd_name}"), cmd_name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 if it is done, 1 if it failed, 2 if it was called wrongly, 130 after Ctrl-C.",
)
@click.version_option(__version__, prog_name="aioecrpublic")
def app() -> None:
    """Whole jobs with Amazon ECR Public, or with a registry of the same behaviour on this machine."""


def run() -> None:
    """Run the command that ``sys.argv`` names."""
    app(prog_name="aioecrpublic")
