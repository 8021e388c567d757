"""The command ``aioecrpublic``; what it needs beyond the library is loaded when it runs."""

from aioecrpublic.cli.main import main

__all__ = ["main"]
