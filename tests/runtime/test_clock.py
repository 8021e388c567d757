"""The service's clock, told by its replies."""

from __future__ import annotations

import datetime as dt
import email.utils
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic import ECRPublicClient
from aioecrpublic._runtime.clock import ServiceClock
from aioecrpublic.errors import ClientStateError, ServiceError
from tests.support.wire import answer, error

if TYPE_CHECKING:
    from tests.support.wire import Wire

NOON = dt.datetime(2026, 3, 1, 12, 0, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def http(moment: dt.datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True)


def dated(moment: dt.datetime) -> bytes:
    return answer(headers={"Date": http(moment)})


@pytest.fixture
def seconds() -> list[float]:
    """The count of seconds that ``clock`` reads, in a list of one."""
    return [1000.0]


@pytest.fixture
def clock(seconds: list[float]) -> ServiceClock:
    return ServiceClock(lambda: seconds[0])


def test_it_goes_on_from_the_last_reply(clock: ServiceClock, seconds: list[float]) -> None:
    assert clock.now() is None
    clock.observe(http(NOON))
    seconds[0] += 3600.5
    assert clock.now() == NOON + dt.timedelta(seconds=3600.5)
    clock.observe(http(NOON + dt.timedelta(hours=2)))
    assert clock.now() == NOON + dt.timedelta(hours=2)


def test_a_reply_that_is_kept_and_given_again_does_not_stop_it(
    clock: ServiceClock, seconds: list[float]
) -> None:
    for _ in range(10):
        clock.observe(http(NOON))
        seconds[0] += 60
    assert clock.now() == NOON + dt.timedelta(minutes=10)


@pytest.mark.parametrize("header", [None, "", "nonsense", "Mon, 99 Foo 2026", "2026-03-01T12:00:00Z", "0"])
def test_what_tells_nothing_changes_nothing(clock: ServiceClock, header: str | None) -> None:
    clock.observe(header)
    assert clock.now() is None
    clock.observe(http(NOON))
    clock.observe(header)
    assert clock.now() == NOON


def test_the_end_of_all_days_is_no_time(clock: ServiceClock, seconds: list[float]) -> None:
    clock.observe("Fri, 31 Dec 9999 23:59:59 GMT")
    seconds[0] += 1
    assert clock.now() is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{0,9} \S{0,6}"))
def test_any_header_is_a_time_or_nothing(header: str) -> None:
    clock = ServiceClock()
    clock.observe(header)
    told = clock.now()
    assert told is None or told.utcoffset() == dt.timedelta()


async def test_a_client_tells_the_time_of_its_replies(client: ECRPublicClient, wire: Wire) -> None:
    assert client.service_time() is None
    wire.answers = [answer(), dated(NOON)]
    await client.describe_registries()
    assert client.service_time() is None
    derived = client.with_options(anonymous=True)
    await derived.describe_registries()
    for one in (client, derived):
        told = one.service_time()
        assert told is not None
        assert NOON <= told < NOON + 60 * SECOND


async def test_a_refusal_may_be_somebody_elses_and_tells_no_time(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [error("AccessDeniedException", status=403, headers={"Date": http(NOON)})]
    with pytest.raises(ServiceError):
        await client.describe_registries()
    assert client.service_time() is None


def test_a_client_that_is_not_open_tells_no_time() -> None:
    with pytest.raises(ClientStateError, match="not open"):
        ECRPublicClient("us-east-1").service_time()
