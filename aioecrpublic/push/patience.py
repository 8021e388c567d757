"""How often a layer is mended before it is given up."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from aioecrpublic._runtime.errors import BrokenReplyError, ServiceError
from aioecrpublic.push.errors import PushError

if TYPE_CHECKING:
    from aioecrpublic._common.errors import ECRPublicError
    from aioecrpublic._runtime.errors import TransportError

ATTEMPTS = 10
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_REMEMBERED = 8


class Patience:
    """A budget of failures that is made up for by progress, with a growing pause after each.

    Args:
        what: What is being tried, for the final error.
        attempts: Failures in a row that are borne.
    """

    def __init__(self, what: str, attempts: int = ATTEMPTS) -> None:
        self.failures: int = 0
        self._what = what
        self._attempts = attempts
        self._in_a_row = 0
        self._furthest = 0
        # What was tried, and how often one after another.
        self._tried: list[tuple[str, int]] = []

    def advanced(self, reached: int) -> None:
        """Forget the failures if this is further than ever."""
        if reached > self._furthest:
            self._furthest = reached
            self._in_a_row = 0
            self._tried.clear()

    async def outlast(self, error: ServiceError | TransportError, remedy: str) -> None:
        """Bear an error that may pass; raise any other."""
        passing = error.retryable if isinstance(error, ServiceError) else error.transient
        # Not to be trusted in general, but every call of a push can be made again.
        if not passing and not isinstance(error, BrokenReplyError):
            raise error
        await self.bear(error, remedy)

    async def bear(self, error: ECRPublicError, remedy: str) -> None:
        """Wait a little before ``remedy`` is tried.

        Raises:
            PushError: It failed too often; says what was tried.
        """
        self.failures += 1
        self._in_a_row += 1
        self._remember(f"{remedy} after {type(error).__name__}")
        if self._in_a_row >= self._attempts:
            tried = "; ".join(step if times == 1 else f"{step}, {times} times" for step, times in self._tried)
            raise PushError(
                f"{self._what}: given up after {self._in_a_row} failures without progress "
                f"({tried}); the last: {error}"
            ) from error
        pause = min(_FIRST_PAUSE * 2 ** (self._in_a_row - 1), _LONGEST_PAUSE)
        await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter

    def _remember(self, step: str) -> None:
        times = 1
        if self._tried and self._tried[-1][0] == step:
            times += self._tried.pop()[1]
        self._tried = [*self._tried[1 - _REMEMBERED :], (step, times)]
