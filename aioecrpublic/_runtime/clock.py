"""The service's clock, as its replies tell it."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

from aioecrpublic._common.dates import http_date

if TYPE_CHECKING:
    from collections.abc import Callable

# Where there is one, a clock that also counts while the machine sleeps. Neither can be set.
_COUNTER: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _counted_seconds() -> float:
    return time.clock_gettime(_COUNTER)


class ServiceClock:
    """Tells the time by the ``Date`` header of replies and the seconds since, whatever this machine's says.

    The header has the second in which a reply was made (RFC 9110, section 6.6.1), and some time has passed
    when it is read, so the time told is a little early and never late.

    Args:
        seconds: A count of seconds that never jumps.
    """

    def __init__(self, seconds: Callable[[], float] = _counted_seconds) -> None:
        self._seconds = seconds
        self._header: str | None = None
        self._date: dt.datetime | None = None
        self._observed_at = 0.0

    def observe(self, header: str | None) -> None:
        """Take the ``Date`` header of a reply of the service; one that says nothing changes nothing."""
        # Replies of the same second have the same header, and the first of them tells the most.
        if header is None or header == self._header:
            return
        date = http_date(header)
        if date is not None:
            self._header, self._date, self._observed_at = header, date, self._seconds()

    def now(self) -> dt.datetime | None:
        """Return the time in UTC, or ``None`` while no reply has told it."""
        if self._date is None:
            return None
        try:
            elapsed = dt.timedelta(seconds=self._seconds() - self._observed_at)
            return self._date.astimezone(dt.UTC) + elapsed
        except OverflowError:
            return None
