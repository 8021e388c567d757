"""The commands and their common options."""

from __future__ import annotations

import click

from aioecrpublic._version import __version__
from aioecrpublic.cli.catalog import catalog
from aioecrpublic.cli.copy import copy
from aioecrpublic.cli.demo import demo
from aioecrpublic.cli.local import local
from aioecrpublic.cli.login import login
from aioecrpublic.cli.prune import prune
from aioecrpublic.cli.push import push


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 if it is done, 1 if it failed, 2 if it was called wrongly, 130 after Ctrl-C.",
)
@click.version_option(__version__, prog_name="aioecrpublic")
def app() -> None:
    """Whole jobs with Amazon ECR Public, or with a registry of the same behaviour on this machine."""


for _command in (catalog, copy, demo, local, login, prune, push):
    app.add_command(_command)


def run() -> None:
    """Run the command that ``sys.argv`` names."""
    app(prog_name="aioecrpublic")
