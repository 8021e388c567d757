"""Foreign text is harmless wherever the package shows it: in its errors, its log, and by its own rule."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aioecrpublic
from aioecrpublic import ECRPublicError, ServiceError, ValidationError
from aioecrpublic._common.logs import get_logger
from aioecrpublic._common.text import MAX_MESSAGE, printable, printable_lines
from tests.support.hostile import EVERYTHING, LONG, TEXTS, assert_harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = {**TEXTS, **LONG, "everything": EVERYTHING}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_printable(text: str) -> None:
    shown = printable(text)
    assert_harmless(shown)
    assert "\n" not in shown
    assert printable(shown[:MAX_MESSAGE]) == shown[:MAX_MESSAGE]


@given(st.text())
def test_any_text_at_all(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()
    assert printable_lines(f"{text}\n{text}").count("\n") == 2 * text.count("\n") + 1


def test_what_is_harmless_stays() -> None:
    text = "Zoë's image: 中文 ünïcödé 🙂 [x] %s"
    assert printable(text) == text


def error_classes() -> Iterator[type[ECRPublicError]]:
    for module in pkgutil.walk_packages(aioecrpublic.__path__, "aioecrpublic."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    pending: list[type[ECRPublicError]] = [ECRPublicError]
    while pending:
        found = pending.pop()
        yield found
        pending += found.__subclasses__()


def make(error: type[ECRPublicError], text: str) -> ECRPublicError:
    if issubclass(error, ServiceError):
        return error(text, code=text, operation=text, request_id=text)
    if issubclass(error, ValidationError):
        return error(text, (text, text))
    try:
        return error(text)
    except TypeError:
        # One that knows what it says.
        return error()


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_every_error_of_the_package(text: str) -> None:
    errors = list(error_classes())
    assert len(errors) > 20
    for error in errors:
        made = make(error, text)
        assert_harmless(str(made))
        assert "\n" not in str(made)
        assert repr(made).isprintable()


def fail(text: str) -> None:
    raise LookupError(text) from ValueError(text)


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_the_package_logs_nothing_else(text: str, caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("aioecrpublic.test")
    with caplog.at_level(logging.DEBUG, "aioecrpublic"):
        log.info("%s and %r of %d in %.1f", text, text, 5, 1.5)
        log.info("%(name)s", {"name": text})
        log.info(text)
        log.warning("an error: %s", ValueError(text))
        try:
            fail(text)
        except LookupError:
            log.exception("failed: %s", text)
    assert caplog.messages[0].endswith("of 5 in 1.5")
    assert len(caplog.records) == 5
    assert "LookupError: " in caplog.text
    for record in caplog.records:
        assert_harmless(record.getMessage())
        assert "\n" not in record.getMessage()
    assert_harmless(caplog.text)


def test_a_logger_is_made_harmless_once() -> None:
    assert get_logger("aioecrpublic.test") is get_logger("aioecrpublic.test")
    assert len(logging.getLogger("aioecrpublic.test").filters) == 1
