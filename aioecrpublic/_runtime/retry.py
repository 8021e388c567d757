"""When to try again and how long to wait: AWS's standard and adaptive modes.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html, with the figures of botocore
1.44: transient errors wait about 50 ms at first, throttled calls about a second, and the retry quota is
shared by all calls of a client so that an outage is not answered with a storm.
"""

from __future__ import annotations

import asyncio
import random
import time
from enum import Enum
from typing import TYPE_CHECKING, Final

from aioecrpublic._common.dates import retry_after_seconds, whole_number
from aioecrpublic._runtime.errors import ServiceError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioecrpublic._common.errors import ECRPublicError

MODES: Final = ("standard", "adaptive")

_THROTTLING_CODES: Final = frozenset({
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
_TRANSIENT_CODES: Final = frozenset({"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"})
_TRANSIENT_STATUSES: Final = frozenset({500, 502, 503, 504})
_TOO_MANY_REQUESTS: Final = 429
CLOCK_CODES: Final = frozenset({
    "AuthFailure",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
})  # fmt: skip

_MAX_BACKOFF: Final = 20.0
_THROTTLING_SCALE: Final = 1.0
_TRANSIENT_SCALE: Final = 0.05
_RETRY_AFTER_SLACK: Final = 5.0
# Not the module's own sequence: a fleet of processes that are seeded alike would come back all at once.
_RANDOM: Final = random.SystemRandom()


class Verdict(Enum):
    """What a failed attempt means for the next."""

    FINAL = "final"
    TRANSIENT = "transient"
    THROTTLED = "throttled"


def judge(error: ECRPublicError, *, modelled: bool) -> Verdict:
    """Whether trying again may help.

    Args:
        error: What the attempt ended with.
        modelled: Whether the operation's model names the error: then the model decides, not the status.
    """
    if not isinstance(error, ServiceError):
        return Verdict.TRANSIENT if isinstance(error, TransportError) and error.transient else Verdict.FINAL
    if modelled and error.modelled_retryable is False:
        return Verdict.FINAL
    throttled = error.modelled_throttling or error.code in _THROTTLING_CODES
    if throttled or (error.status == _TOO_MANY_REQUESTS and not modelled):
        return Verdict.THROTTLED
    transient = error.code in _TRANSIENT_CODES or error.status in _TRANSIENT_STATUSES
    return Verdict.TRANSIENT if transient or error.modelled_retryable else Verdict.FINAL


def backoff(verdict: Verdict, attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait after ``attempt``, the first being 1: full jitter, doubling, at most 20 s.

    ``retry_after`` is what the service asked for, in seconds; it is honoured up to 5 s more than the jitter.
    """
    scale = _THROTTLING_SCALE if verdict is Verdict.THROTTLED else _TRANSIENT_SCALE
    # The exponent is bounded only so that a thousandth attempt does not overflow.
    delay = _RANDOM.random() * min(scale * 2.0 ** min(attempt - 1, 64), _MAX_BACKOFF)
    if retry_after is None:
        return delay
    return max(delay, min(retry_after, delay + _RETRY_AFTER_SLACK))


def asked_delay(headers: Mapping[str, str]) -> float | None:
    """The seconds that the service asks to wait, if it does.

    ``x-amz-retry-after`` is in milliseconds and comes before ``Retry-After``.
    """
    milliseconds = whole_number(headers.get("x-amz-retry-after", "").strip())
    return retry_after_seconds(headers) if milliseconds is None else milliseconds / 1000


class RetryQuota:
    """The tokens that retries cost and successes give back; shared by all calls of a client."""

    CAPACITY: Final = 500
    _COSTS: Final = {Verdict.TRANSIENT: 14, Verdict.THROTTLED: 5}

    def __init__(self) -> None:
        self.available: int = self.CAPACITY

    def acquire(self, verdict: Verdict) -> int | None:
        """The tokens taken for a retry, or ``None`` if there are not enough left."""
        cost = self._COSTS[verdict]
        if cost > self.available:
            return None
        self.available -= cost
        return cost

    def release(self, tokens: int) -> None:
        """Give back what the last retry of a successful call took, or one token for a first success."""
        self.available = min(self.CAPACITY, self.available + (tokens or 1))


class AdaptiveRate:
    """The sending rate of adaptive mode: a token bucket whose rate follows CUBIC.

    It does nothing until the first throttled reply; from then on every attempt takes a token first.
    """

    _BETA: Final = 0.7
    _SCALE: Final = 0.4
    _SMOOTHING: Final = 0.8
    _LEAST_RATE: Final = 0.5
    _BUCKETS_PER_SECOND: Final = 2

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._enabled = False
        self._rate = self._capacity = 1.0
        self._tokens = 0.0
        self._filled_at = clock()
        self._measured = 0.0
        # A whole second, although the buckets are half ones: so do the other SDKs begin.
        self._bucket_start = float(int(clock()))
        self._count = 0
        self._last_max = 0.0
        self._throttled_at = clock()

    async def acquire(self) -> None:
        """Wait for a token, if the service has ever throttled."""
        while self._enabled:
            self._fill()
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / self._rate)

    def report(self, *, throttled: bool) -> None:
        """Tell how an attempt went."""
        self._measure()
        now = self._clock()
        if throttled:
            rate = min(self._measured, self._rate) if self._enabled else self._measured
            self._last_max, self._throttled_at = rate, now
            self._enabled = True
            target = rate * self._BETA
        else:
            window = ((self._last_max * (1 - self._BETA)) / self._SCALE) ** (1 / 3)
            target = self._SCALE * (now - self._throttled_at - window) ** 3 + self._last_max
        self._set_rate(min(target, 2 * self._measured))

    def _set_rate(self, rate: float) -> None:
        self._fill()
        self._rate = max(rate, self._LEAST_RATE)
        self._capacity = max(rate, 1.0)
        self._tokens = min(self._tokens, self._capacity)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def _measure(self) -> None:
        self._count += 1
        bucket = self._bucket_of(self._clock())
        if bucket > self._bucket_start:
            current = self._count / (bucket - self._bucket_start)
            self._measured = current * self._SMOOTHING + self._measured * (1 - self._SMOOTHING)
            self._count, self._bucket_start = 0, bucket

    def _bucket_of(self, moment: float) -> float:
        return int(moment * self._BUCKETS_PER_SECOND) / self._BUCKETS_PER_SECOND
