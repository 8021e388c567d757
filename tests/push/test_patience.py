from __future__ import annotations

from unittest import mock

import pytest

from aioecrpublic import PushError, ServiceError
from aioecrpublic.errors import BrokenReplyError, ConnectError, TransportError
from aioecrpublic.push.patience import ATTEMPTS, Patience


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - no test is to wait
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause would have been."""
    noted: list[float] = []
    sleep = mock.AsyncMock(side_effect=noted.append)
    monkeypatch.setattr("aioecrpublic.push.patience.asyncio", mock.Mock(sleep=sleep))
    return noted


async def test_the_last_failure_is_the_cause_and_what_was_tried_is_said() -> None:
    patience = Patience("layer sha256:a", attempts=3)
    await patience.bear(ConnectError("gone"), "sending bytes 0-9 again")
    await patience.bear(BrokenReplyError("odd"), "sending bytes 0-9 again")
    error = ConnectError("gone for good")
    with pytest.raises(PushError) as raised:
        await patience.bear(error, "beginning the layer again")
    assert raised.value.__cause__ is error
    assert str(raised.value) == (
        "layer sha256:a: given up after 3 failures without progress "
        "(sending bytes 0-9 again after ConnectError; sending bytes 0-9 again after BrokenReplyError; "
        "beginning the layer again after ConnectError); the last: gone for good"
    )


async def test_what_was_tried_again_and_again_is_said_once() -> None:
    patience = Patience("repository team/app", attempts=6)
    for remedy in ("asking again", "asking again", "asking again", "sending again", "asking again"):
        await patience.bear(ConnectError("gone"), remedy)
    with pytest.raises(PushError) as raised:
        await patience.bear(BrokenReplyError("odd"), "asking again")
    assert str(raised.value) == (
        "repository team/app: given up after 6 failures without progress "
        "(asking again after ConnectError, 3 times; sending again after ConnectError; "
        "asking again after ConnectError; asking again after BrokenReplyError); the last: odd"
    )


async def test_only_the_last_things_that_were_tried_are_said() -> None:
    patience = Patience("layer")
    for number in range(ATTEMPTS - 1):
        await patience.bear(ConnectError("gone"), f"try {number}")
    with pytest.raises(PushError) as raised:
        await patience.bear(ConnectError("gone"), "try 9")
    assert [f"try {number} after" in str(raised.value) for number in range(10)] == [False] * 2 + [True] * 8


async def test_progress_makes_up_for_failures_but_only_progress_further_than_ever() -> None:
    patience = Patience("layer", attempts=2)
    for reached in range(1, 20):
        await patience.bear(ConnectError("gone"), "again")
        patience.advanced(reached)
    patience.advanced(5)
    await patience.bear(ConnectError("gone"), "at the end")
    patience.advanced(19)
    with pytest.raises(PushError, match=r"2 failures .*\(at the end after ConnectError; for the last time"):
        await patience.bear(ConnectError("gone"), "for the last time")
    assert patience.failures == 21


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
async def test_pauses_grow_and_are_spread(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, jitter: float, share: float
) -> None:
    monkeypatch.setattr("random.random", lambda: jitter)
    monkeypatch.setattr("random.SystemRandom.random", lambda _: jitter)
    patience = Patience("layer")
    for _ in range(ATTEMPTS - 1):
        await patience.bear(ConnectError("gone"), "again")
    whole = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert pauses == pytest.approx([share * pause for pause in whole])


def service_error(*, retryable: bool) -> ServiceError:
    error = ServiceError("no")
    error.retryable = retryable
    return error


def transport_error(cls: type[TransportError], *, transient: bool) -> TransportError:
    error = cls("no")
    error.transient = transient
    return error


@pytest.mark.parametrize(
    "error",
    [
        service_error(retryable=True),
        transport_error(ConnectError, transient=True),
        transport_error(BrokenReplyError, transient=False),
    ],
)
async def test_what_may_pass_is_outlasted(error: ServiceError | TransportError) -> None:
    patience = Patience("layer", attempts=2)
    await patience.outlast(error, "completing again")
    with pytest.raises(PushError, match=f"completing again after {type(error).__name__}; once more"):
        await patience.outlast(error, "once more")


@pytest.mark.parametrize(
    "error", [service_error(retryable=False), transport_error(ConnectError, transient=False)]
)
async def test_what_will_not_pass_is_raised(
    error: ServiceError | TransportError, pauses: list[float]
) -> None:
    patience = Patience("layer")
    with pytest.raises(type(error)) as raised:
        await patience.outlast(error, "again")
    assert raised.value is error
    assert (patience.failures, pauses) == (0, [])
