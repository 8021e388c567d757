"""Build the API reference from the docstrings: ``python -m tests.tools.reference DIRECTORY``.

A warning is an error.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path

import pdoc.doc
import pdoc.render

from aioecrpublic import __version__

MODULES = (
    "aioecrpublic",
    "aioecrpublic._generated.operations",
    "aioecrpublic._runtime.client",
    "aioecrpublic.types",
    "aioecrpublic.errors",
    "aioecrpublic.push",
    "aioecrpublic.images",
    "aioecrpublic.manage",
    "aioecrpublic.local",
    "aioecrpublic.hooks",
    "aioecrpublic.pytest_plugin",
)


def write(directory: Path) -> None:
    """Write the reference as HTML, without anything that has to come from a network.

    Raises:
        UserWarning: Something in it does not resolve.
    """
    for name in MODULES:
        module = import_module(name)
        # What is loaded when it is first asked for is seen only then.
        for member in getattr(module, "__all__", ()):
            vars(module).setdefault(member, getattr(module, member))
    pdoc.render.configure(
        docformat="google",
        include_undocumented=False,
        show_source=False,
        footer_text=f"aioecrpublic {__version__}",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc(*MODULES, output_directory=directory)
    for page in directory.rglob("*.html"):
        # The mark before a literal block, which Markdown knows by its indentation.
        text = page.read_text("utf-8")
        page.write_text(text.replace("<p>::</p>", "").replace("::</p>", ":</p>"), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
