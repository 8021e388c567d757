from __future__ import annotations

import base64
import logging

import pytest

from tests.support.secrets import assert_hidden, chain, find_secrets

SECRET = "p@ss word/1"


class HolderError(Exception):
    def __init__(self, kept: object) -> None:
        super().__init__("nothing")
        self.kept = kept


def caused(inner: Exception, *, suppressed: bool = False) -> Exception:
    outer = RuntimeError("outer")
    outer.__context__ = inner
    outer.__cause__ = None if suppressed else inner
    return outer


def noted() -> Exception:
    error = RuntimeError("outer")
    error.add_note(f"it was {SECRET}")
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        ValueError({"password": SECRET}),
        ValueError("p%40ss%20word%2F1"),
        ValueError(base64.b64encode(SECRET.encode()).decode()),
        HolderError({"Authorization": SECRET}),
        caused(ValueError(SECRET)),
        caused(ValueError(SECRET), suppressed=True),
        caused(HolderError(SECRET)),
        ExceptionGroup("some", [ValueError("fine"), caused(ValueError(SECRET))]),
        noted(),
    ],
    ids=str,
)
def test_a_secret_is_found_wherever_it_shows(error: BaseException) -> None:
    assert find_secrets(error, [SECRET])
    with pytest.raises(AssertionError, match="p@ss word/1"):
        assert_hidden(error, [SECRET])
    assert_hidden(error, ["another-secret"])


def test_a_secret_is_found_in_log_records(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test")
    with caplog.at_level(logging.DEBUG):
        log.debug("sent %s", SECRET)
        log.error("failed", exc_info=caused(ValueError(SECRET)))
    for record in caplog.records:
        assert find_secrets(None, [SECRET], [record])
    assert_hidden(None, ["another-secret"], caplog.records)


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__context__ = second, first
    assert chain(first) == [first, second]


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(AssertionError, match="too short"):
        find_secrets(None, ["abc"])
