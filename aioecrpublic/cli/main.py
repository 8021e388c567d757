"""The entry point, which can say what is missing."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Run the command line; needs the extra ``aioecrpublic[cli]``."""
    missing = [name for name in ("click", "packaging", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"aioecrpublic: {' and '.join(missing)} not installed; run: pip install 'aioecrpublic[cli]'\n"
        )
        raise SystemExit(1)
    from aioecrpublic.cli.app import run

    run()
