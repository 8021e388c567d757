"""The service's quotas of requests per second, for those who want to meet them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html gives the rest this order.
_OTHERS: Final = 10.0


class Quotas:
    """A token bucket for each account and operation, as large as one second's quota.

    Args:
        rates: Requests per second by operation; those that are not in it are unlimited.
        clock: The time in seconds.

    Raises:
        ConfigurationError: An operation does not exist, or its rate is not positive.
    """

    def __init__(self, rates: Mapping[str, float], clock: Callable[[], float]) -> None:
        for name, rate in rates.items():
            if name not in SERVICE.operations:
                raise ConfigurationError(f"quotas: there is no operation {name!r}")
            if rate <= 0:
                raise ConfigurationError(f"quotas: {name} is {rate}, not more than 0")
        self._rates = rates
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    @classmethod
    def of(
        cls,
        quotas: Mapping[str, float] | bool,  # noqa: FBT001 - the public argument is as free
        clock: Callable[[], float],
    ) -> Quotas:
        """The published quotas for ``True``, none for ``False``, or one's own by operation."""
        if quotas is True:
            return cls({name: each.quota or _OTHERS for name, each in SERVICE.operations.items()}, clock)
        return cls(quotas or {}, clock)

    def take(self, account: str, operation: str) -> None:
        """Count a request.

        Raises:
            ServiceError: ``ThrottlingException``: it is one too many.
        """
        rate = self._rates.get(operation)
        if rate is None:
            return
        most = max(rate, 1.0)
        with self._lock:
            now = self._clock()
            left, before = self._buckets.get((account, operation), (most, now))
            # A clock that is put back takes nothing away.
            left = min(most, left + max(now - before, 0.0) * rate)
            allowed = left >= 1
            self._buckets[account, operation] = (left - 1 if allowed else left, now)
        if not allowed:
            raise ServiceError("Rate exceeded", code="ThrottlingException")
