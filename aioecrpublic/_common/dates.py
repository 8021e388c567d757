"""Dates and delays as HTTP headers tell them."""

from __future__ import annotations

import datetime as dt
import email.utils
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_DIGITS: Final = 12


def http_date(value: str | None) -> dt.datetime | None:
    """Return the moment that an HTTP header tells, ``None`` where it tells none."""
    try:
        moment = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait (RFC 9110, section 10.2.3), ``None`` without it.

    A date is taken by the server's own clock if the reply's ``Date`` tells it, else by this machine's.
    """
    value = headers.get("Retry-After", "").strip()
    seconds = whole_number(value)
    if seconds is not None:
        return float(seconds)
    until = http_date(value)
    if until is None:
        return None
    now = http_date(headers.get("Date")) or dt.datetime.now(dt.UTC)
    return max(0.0, (until - now).total_seconds())


def whole_number(value: str) -> int | None:
    """Return the number that ASCII digits write, ``None`` for anything else.

    More than twelve digits only mean "very long", and are cut off.
    """
    return int(value[:_MAX_DIGITS]) if value.isascii() and value.isdigit() else None
