"""What a push raises when mending does not help any more."""

from __future__ import annotations

from aioecrpublic._common.errors import ECRPublicError


class PushError(ECRPublicError):
    """A push that could not be finished; what is uploaded stays, and pushing again goes on from there.

    The last failure is its ``__cause__``.
    """
