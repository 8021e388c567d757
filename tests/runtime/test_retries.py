"""Retries beside botocore's formulas, and as a client makes them."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic import Credentials, ECRPublicClient, ServiceError
from aioecrpublic._generated import errors as modelled_errors
from aioecrpublic._generated.service import INITIATE_LAYER_UPLOAD
from aioecrpublic._runtime.retry import AdaptiveRate, RetryQuota, Verdict, asked_delay, backoff, judge
from aioecrpublic.errors import ConnectError, LimitExceededException, ServerException, TransportError
from tests.support.wire import Raw, answer, error

if TYPE_CHECKING:
    from tests.support.wire import Wire

THROTTLED = error("ThrottlingException")
BROKEN = answer(status=503)


@given(
    attempt=st.integers(1, 30),
    jitter=st.floats(0, 1, exclude_max=True),
    verdict=st.sampled_from([Verdict.TRANSIENT, Verdict.THROTTLED]),
    asked=st.none() | st.floats(0, 60),
)
def test_backoff_is_the_specified_one(
    attempt: int, jitter: float, verdict: Verdict, asked: float | None
) -> None:
    """b * min(scale * 2**i, 20 s), i from 0; what the service asks for counts up to 5 s beyond it."""
    with mock.patch("aioecrpublic._runtime.retry._RANDOM.random", return_value=jitter):
        delay = backoff(verdict, attempt, asked)
    scale = 1.0 if verdict is Verdict.THROTTLED else 0.05
    own = jitter * min(scale * 2 ** (attempt - 1), 20.0)
    assert delay == pytest.approx(own if asked is None else max(own, min(asked, own + 5)))


def test_backoff_after_very_many_attempts_is_bounded() -> None:
    assert 0 <= backoff(Verdict.TRANSIENT, 100_000) <= 20


def service_error(code: str, status: int = 400) -> ServiceError:
    cls = getattr(modelled_errors, code, ServiceError)
    made: ServiceError = cls("", code=code, status=status)
    return made


@pytest.mark.parametrize(
    ("code", "status", "modelled", "verdict"),
    [
        ("ThrottlingException", 400, False, Verdict.THROTTLED),
        ("TooManyRequestsException", 429, False, Verdict.THROTTLED),
        ("RequestLimitExceeded", 503, False, Verdict.THROTTLED),
        ("Whatever", 429, False, Verdict.THROTTLED),
        ("Whatever", 429, True, Verdict.FINAL),
        ("Whatever", 500, False, Verdict.TRANSIENT),
        ("Whatever", 503, False, Verdict.TRANSIENT),
        ("Whatever", 501, False, Verdict.FINAL),
        ("RequestTimeout", 400, False, Verdict.TRANSIENT),
        ("ServerException", 500, True, Verdict.TRANSIENT),
        ("ServerException", 400, True, Verdict.TRANSIENT),
        ("InvalidParameterException", 400, True, Verdict.FINAL),
        ("LimitExceededException", 400, True, Verdict.FINAL),
        ("LimitExceededException", 400, False, Verdict.THROTTLED),
        ("AccessDeniedException", 403, False, Verdict.FINAL),
    ],
)
def test_errors_are_judged(code: str, status: int, modelled: bool, verdict: Verdict) -> None:  # noqa: FBT001 - cases
    assert judge(service_error(code, status), modelled=modelled) is verdict


def test_the_quota_is_taken_and_given_back() -> None:
    quota = RetryQuota()
    assert [quota.acquire(Verdict.TRANSIENT) for _ in range(36)] == [14] * 35 + [None]
    assert [quota.acquire(Verdict.THROTTLED) for _ in range(3)] == [5, 5, None]
    assert quota.available == 0
    quota.release(14)
    quota.release(0)
    assert quota.available == 15
    quota.release(10_000)
    assert quota.available == 500


CODES = (
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
    "TooManyRequestsException", "TransactionInProgressException", "RequestTimeout", "RequestTimeoutException",
    "AccessDeniedException", "ValidationException", "InternalFailure", "ServiceUnavailable",
)  # fmt: skip


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("status", [400, 403, 404, 500, 501, 502, 503, 504])
def test_verdicts_costs_and_delays_are_botocores(code: str, status: int) -> None:
    """Beside botocore's standard mode with its newest figures."""
    from tests.support import oracle

    standard = oracle.module("botocore.retries.standard")
    if not hasattr(standard, "NEW_RETRIES_ENABLED"):
        pytest.skip("this botocore is older than the figures")
    verdict = judge(service_error(code, status), modelled=False)
    asked = {"x-amz-retry-after": "1700"}
    with mock.patch.object(standard, "NEW_RETRIES_ENABLED", new=True):
        context = standard.RetryContext(
            attempt_number=3,
            operation_model=mock.Mock(error_shapes=[]),
            parsed_response={"Error": {"Code": code}},
            http_response=mock.Mock(status_code=status, headers=asked),
        )
        assert standard.StandardRetryConditions(max_attempts=9).is_retryable(context) == (
            verdict is not Verdict.FINAL
        )
        if verdict is Verdict.FINAL:
            return
        detector = standard.ThrottlingErrorDetector(standard.RetryEventAdapter())
        theirs = oracle.module("botocore.retries.quota").RetryQuota()
        assert standard.RetryQuotaChecker(theirs, detector).acquire_retry_quota(context)
        backing_off = standard.ExponentialBackoff(random=lambda: 0.5, throttling_detector=detector)
        expected = backing_off.delay_amount(context)
    ours = RetryQuota()
    ours.acquire(verdict)
    assert ours.available == theirs.available_capacity
    with mock.patch("aioecrpublic._runtime.retry._RANDOM.random", return_value=0.5):
        assert backoff(verdict, 3, asked_delay(asked)) == pytest.approx(expected)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def current_time(self) -> float:
        return self.now

    def sleep(self, _: float) -> None:
        raise AssertionError("nobody is to sleep")


@given(steps=st.lists(st.tuples(st.floats(0.001, 3.0), st.booleans()), min_size=1, max_size=60))
def test_the_adaptive_rate_is_botocores(steps: list[tuple[float, bool]]) -> None:
    from tests.support import oracle

    clock = Clock()
    adaptive = oracle.module("botocore.retries.adaptive")
    bucket = oracle.module("botocore.retries.bucket").TokenBucket(max_rate=1, clock=clock)
    cubic = oracle.module("botocore.retries.throttling").CubicCalculator(
        starting_max_rate=0, start_time=clock.now
    )
    detector = mock.Mock()
    theirs = adaptive.ClientRateLimiter(cubic, adaptive.RateClocker(clock), bucket, detector, clock)
    ours = AdaptiveRate(clock)
    for elapsed, throttled in steps:
        clock.now += elapsed
        detector.is_throttling_error.return_value = throttled
        theirs.on_receiving_response()
        ours.report(throttled=throttled)
        assert ours._rate == pytest.approx(bucket.max_rate)
        assert ours._tokens == pytest.approx(bucket.available_capacity)
        assert ours._enabled == theirs._enabled


async def test_the_adaptive_rate_holds_calls_up() -> None:
    rate = AdaptiveRate(Clock())
    rate.report(throttled=True)
    assert rate._rate == pytest.approx(0.5)
    waiting = asyncio.create_task(rate.acquire())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    rate._tokens = 1.0
    waiting.cancel()
    await asyncio.wait([waiting])
    await rate.acquire()
    assert rate._tokens < 0.1


async def test_adaptive_calls_wait_for_what_lacks_of_a_token() -> None:
    clock, slept = Clock(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    rate = AdaptiveRate(clock)
    await rate.acquire()
    rate.report(throttled=True)
    sleeping = mock.AsyncMock(side_effect=sleep)
    with mock.patch("aioecrpublic._runtime.retry.asyncio", mock.Mock(sleep=sleeping)):
        # Half a token a second, and never more than one.
        for spent in (0.0, 0.0, 0.5, 1.5, 7.0):
            clock.now += spent
            await rate.acquire()
    assert slept == pytest.approx([2.0, 2.0, 1.5, 0.5])


NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"Retry-After": "7"}, 7.0),
        ({"x-amz-retry-after": "soon", "Retry-After": "7"}, 7.0),
        ({"x-amz-retry-after": "-5"}, None),
        ({"Retry-After": "9" * 5000}, 999999999999.0),
        ({"Retry-After": email.utils.format_datetime(NOW, usegmt=True)}, None),
        ({"Retry-After": "nonsense"}, None),
    ],
)
def test_what_the_service_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    if headers.get("Retry-After", "").endswith("GMT"):
        headers |= {"Date": email.utils.format_datetime(NOW - dt.timedelta(seconds=30), usegmt=True)}
        seconds = 30.0
    assert asked_delay(headers) == seconds


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 01:00:30 +0100", 30.0),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0.0),
    ],
)
def test_a_date_to_retry_at_is_taken_by_the_services_clock(until: str, seconds: float) -> None:
    assert asked_delay({"Retry-After": until, "Date": email.utils.format_datetime(NOW)}) == seconds


def test_a_date_to_retry_at_is_taken_by_our_clock_if_there_is_no_other() -> None:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert asked_delay({"Retry-After": email.utils.format_datetime(until)}) == pytest.approx(3600, abs=60)


async def test_a_throttled_call_is_made_again_and_says_so(
    client: ECRPublicClient, wire: Wire, delays: list[float]
) -> None:
    wire.answers = [THROTTLED, BROKEN]
    response = await client.describe_registries()
    assert response.metadata.attempts == 3
    assert response.metadata.retry_delay == pytest.approx(sum(delays))
    assert [request.headers["amz-sdk-request"].rpartition("attempt")[2] for request in wire.requests] == [
        "=1; max=3",
        "=2; max=3",
        "=3; max=3",
    ]
    assert "ttl=" not in wire.requests[0].headers["amz-sdk-request"]
    assert wire.requests[1].headers["amz-sdk-request"].startswith("ttl=2")
    assert len({request.headers["amz-sdk-invocation-id"] for request in wire.requests}) == 1


@pytest.mark.usefixtures("delays")
async def test_attempts_come_to_an_end(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = THROTTLED
    with pytest.raises(ServiceError) as caught:
        await client.with_options(max_attempts=5).describe_registries()
    assert (caught.value.attempts, caught.value.throttling, caught.value.retryable) == (5, True, True)
    assert len(wire.requests) == 5
    assert "5 attempts" in str(caught.value)


async def test_a_full_quota_of_the_account_is_not_throttling(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = error("LimitExceededException")
    with pytest.raises(LimitExceededException) as caught:
        await client.create_repository(repository_name="ab")
    assert (caught.value.throttling, caught.value.retryable) == (False, False)
    assert len(wire.requests) == 1


@pytest.mark.usefixtures("delays")
async def test_a_modelled_server_error_is_transient(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = error("ServerException", status=500)
    with pytest.raises(ServerException) as caught:
        await client.create_repository(repository_name="ab")
    assert (caught.value.throttling, caught.value.retryable) == (False, True)
    assert len(wire.requests) == 3


@pytest.mark.usefixtures("delays")
async def test_an_outage_is_not_answered_with_a_storm(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = BROKEN
    derived = client.with_options(max_attempts=100)
    for _ in range(20):
        with pytest.raises(ServiceError):
            await derived.describe_registries()
    assert len(wire.requests) == 500 // 14 + 20


@pytest.mark.usefixtures("delays")
async def test_a_lost_connection_is_made_again(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [Raw(b"")]
    response = await client.describe_registries()
    assert response.metadata.attempts == 2


def skewed(minutes: float) -> bytes:
    date = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    return error(
        "InvalidSignatureException",
        status=403,
        headers={"Date": email.utils.format_datetime(date, usegmt=True)},
    )


@pytest.mark.parametrize("minutes", [-30.0, 30.0])
async def test_a_wrong_clock_is_set_right_once(client: ECRPublicClient, wire: Wire, minutes: float) -> None:
    wire.answers = [skewed(minutes)]
    once = client.with_options(max_attempts=1)
    assert (await once.describe_registries()).metadata.attempts == 2
    first, second = (
        dt.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        for request in wire.requests
    )
    assert abs((second - first) - dt.timedelta(minutes=minutes)) < dt.timedelta(minutes=1)
    await client.describe_registries()
    third = wire.requests[2].headers["X-Amz-Date"]
    assert abs(int(third[:8]) - int(second.strftime("%Y%m%d"))) <= 8870


async def test_calls_at_once_with_a_wrong_clock_are_all_signed_again(
    client: ECRPublicClient, wire: Wire
) -> None:
    wire.answers = [skewed(30)] * 5
    responses = await asyncio.gather(*(client.describe_registries() for _ in range(5)))
    assert [response.metadata.attempts for response in responses] == [2] * 5


@pytest.mark.parametrize("date", [None, "nonsense", "Mon, 99 Foo 2026", ""])
async def test_a_wrong_secret_is_not_a_wrong_clock(
    client: ECRPublicClient, wire: Wire, date: str | None
) -> None:
    headers = {} if date is None else {"Date": date}
    wire.default = error("InvalidSignatureException", status=403, headers=headers)
    with pytest.raises(ServiceError, match="InvalidSignatureException"):
        await client.describe_registries()
    assert len(wire.requests) == 1


async def test_a_clock_that_cannot_be_set_right_is_not_tried_for_ever(
    client: ECRPublicClient, wire: Wire
) -> None:
    wire.answers = [skewed(30), skewed(90), skewed(150)]
    with pytest.raises(ServiceError):
        await client.describe_registries()
    assert len(wire.requests) == 2


async def test_adaptive_mode_slows_down_after_throttling(wire: Wire, delays: list[float]) -> None:
    async with ECRPublicClient(
        "us-east-1", wire.url, Credentials("a", "b"), retry_mode="adaptive", rate_limits=False
    ) as client:
        await client.describe_registries()
        adaptive = client._core.opened().adaptive
        assert not throttled_once(adaptive)
        wire.answers = [THROTTLED]
        adaptive._tokens = 1.0
        with mock.patch.object(adaptive, "acquire", wraps=adaptive.acquire) as acquire:
            await client.describe_registries()
        assert acquire.call_count == 2
    assert throttled_once(adaptive)


def throttled_once(rate: AdaptiveRate) -> bool:
    return rate._enabled


def test_the_verdict_on_a_transport_error_is_its_own() -> None:
    refused = ConnectError("no secure connection")
    assert judge(refused, modelled=False) is Verdict.TRANSIENT
    refused.transient = False
    assert judge(refused, modelled=False) is Verdict.FINAL
    assert judge(TransportError("x"), modelled=False) is Verdict.TRANSIENT
    assert judge(service_error("x"), modelled=False) is Verdict.FINAL


def test_operations_know_the_errors_of_the_model() -> None:
    assert any(known is ServerException for known in INITIATE_LAYER_UPLOAD.errors)
