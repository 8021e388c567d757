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
    epilog="Exit status: 0 if it is done, 1 if it failed, 2 if it was called wrongly, "
    "3 if only the main work is done, 130 after Ctrl-C.",
)
@click.version_option(__version__, prog_name="aioecrpublic")
def app() -> None:
    """Whole jobs with Amazon ECR Public, or with a registry of the same behaviour on this machine."""


def run() -> None:
    """Run the command that ``sys.argv`` names, and exit with its status."""
    from aioecrpublic.cli import output, running  # what they load is not needed to look a command up

    output.prepare_streams()
    try:
        status = app.main(prog_name="aioecrpublic", standalone_mode=False)
    except click.ClickException as error:
        output.write_usage_error(error)
        status = error.exit_code
    except click.Abort:
        output.write_error("interrupted")
        status = running.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nobody has foreseen it: it is shown as Python would
        output.write_traceback(error)
        status = running.FAILED
    raise SystemExit(status)
