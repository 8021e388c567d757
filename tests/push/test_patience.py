from __future__ import annotations

import pytest

from aioecrpublic import PushError
from aioecrpublic._runtime.errors import ConnectError
from aioecrpublic.push import patience as module
from aioecrpublic.push.patience import Patience


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.0)


pytestmark = pytest.mark.usefixtures("no_pauses")


async def test_the_last_failure_is_the_cause_and_what_was_tried_is_said() -> None:
    patience = Patience("layer sha256:a", attempts=3)
    error = ConnectError("gone")
    await patience.bear(error, "sending bytes 0-9 again")
    await patience.bear(error, "sending bytes 0-9 again")
    with pytest.raises(
        PushError, match=r"layer sha256:a: given up after 3 failures.*sending bytes 0-9 again"
    ) as raised:
        await patience.bear(error, "beginning the layer again")
    assert raised.value.__cause__ is error
    assert "beginning the layer again after ConnectError" in str(raised.value)


async def test_progress_makes_up_for_failures_but_only_progress_further_than_ever() -> None:
    patience = Patience("layer", attempts=2)
    for reached in range(1, 20):
        await patience.bear(ConnectError("gone"), "again")
        patience.advanced(reached)
    patience.advanced(5)
    await patience.bear(ConnectError("gone"), "again")
    patience.advanced(19)
    with pytest.raises(PushError):
        await patience.bear(ConnectError("gone"), "again")
    assert patience.failures == 21
