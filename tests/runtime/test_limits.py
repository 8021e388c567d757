from __future__ import annotations

import pytest

from aioecrpublic._runtime import limits
from aioecrpublic._runtime.limits import Pace, RateLimits


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(limits, "asyncio", made)
    return made


@pytest.mark.parametrize("rate", [1.0, 10.0, 260.0, 2.5, 0.5])
async def test_no_second_has_more_than_the_rate(clock: Clock, rate: float) -> None:
    pace, times = Pace(rate, clock), []
    for _ in range(int(4 * max(rate, 1)) + 3):
        await pace.acquire()
        times.append(clock.now)
    window, calls = max(1.0, 1 / rate), max(1, int(rate))
    for index in range(len(times) - calls):
        assert times[index + calls] - times[index] >= window * min(1.0, calls / max(rate, calls))
    span = times[-1] - times[0]
    assert span == pytest.approx((len(times) - 1) // calls * 1.02 * calls / rate, rel=0.05)


async def test_the_first_after_a_pause_leave_at_once(clock: Clock) -> None:
    pace = Pace(10, clock)
    for _ in range(10):
        await pace.acquire()
    assert clock.now == pytest.approx(100.0)
    clock.now += 60
    for _ in range(10):
        await pace.acquire()
    assert clock.now == pytest.approx(160.0)


async def test_a_throttled_operation_holds_all_its_calls(clock: Clock) -> None:
    paced = RateLimits({"PutImage": 10})
    pace = paced.pace("PutImage")
    assert pace is not None
    pace._clock = clock
    pace._not_before = clock.now
    paced.throttled("PutImage", 2.0)
    paced.throttled("Unpaced", 9.0)
    await pace.acquire()
    assert clock.now == pytest.approx(102.0)
