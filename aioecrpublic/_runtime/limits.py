"""Client-side pacing: calls leave at the service's published rate instead of running into it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Calls that leave a second apart may arrive a little closer together.
_MARGIN = 1.02


class Pace:
    """No more than ``rate`` calls in any second; the first after a pause leave at once.

    Args:
        rate: Calls per second; below one, one call in ``1 / rate`` seconds.
        clock: Seconds, monotonic.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        calls = max(1, int(rate))
        self._window = _MARGIN * calls / rate
        self._turns: deque[float] = deque(maxlen=calls)
        self._clock = clock
        self._not_before = clock()

    async def acquire(self) -> None:
        """Wait for this call's turn; turns are given in the order of asking."""
        now = self._clock()
        turn = max(now, self._not_before)
        if len(self._turns) == self._turns.maxlen:
            turn = max(turn, self._turns[0] + self._window)
        self._turns.append(turn)
        if turn > now:
            await asyncio.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Give no turn for ``seconds``: the service asked for it."""
        self._not_before = max(self._not_before, self._clock() + seconds)


class RateLimits:
    """The pace of each operation that has one.

    Args:
        rates: Calls per second by the operation's name in the model.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._paces = {name: Pace(rate) for name, rate in rates.items()}

    def pace(self, operation: str) -> Pace | None:
        """The pace of ``operation``, if it has one."""
        return self._paces.get(operation)

    def throttled(self, operation: str, seconds: float) -> None:
        """Slow all calls of ``operation`` down: one of them was throttled and waits ``seconds``."""
        pace = self._paces.get(operation)
        if pace is not None:
            pace.hold(seconds)
