"""The root of the error tree."""

from aioecrpublic._common.text import printable


class ECRPublicError(Exception):
    """Anything this package raises on purpose; catch it to catch them all.

    Its text is one line, made harmless for terminals and logs: what a service, a registry or an image has put
    into it cannot move the cursor or forge a second line. ``args`` keep what was given.
    """

    def __str__(self) -> str:
        return printable(self._describe())

    def _describe(self) -> str:
        return super().__str__()
