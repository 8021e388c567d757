"""Looking for secrets in everything that an error or a log record shows of itself.

``assert_hidden`` is what tests call. It walks the error with its causes, contexts and the members of groups,
and looks at each one's ``str``, ``repr``, attributes and formatted traceback, and at the log records.
"""

from __future__ import annotations

import base64
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

_MIN_LENGTH = 6


def assert_hidden(
    error: BaseException | None, secrets: Iterable[str], records: Iterable[logging.LogRecord] = ()
) -> None:
    """Fail if one of ``secrets``, in any of its usual spellings, is to be seen.

    Args:
        error: Its whole chain is searched; ``None`` searches the records alone.
        secrets: Each is looked for as it is, percent-encoded and in base64 (``USER:PASSWORD`` is what
            ``Basic`` sends: give that too).
        records: Log records, such as pytest's ``caplog.records``.
    """
    found = find_secrets(error, secrets, records)
    assert not found, "\n".join(found)


def find_secrets(
    error: BaseException | None, secrets: Iterable[str], records: Iterable[logging.LogRecord] = ()
) -> list[str]:
    """Return one line for each place where a secret shows: the place, the secret, and the text."""
    spellings = {spelling: secret for secret in secrets for spelling in _spellings(secret)}
    places = [*_shown_by_error(error), *_shown_by_records(records)]
    return [
        f"{place}: {secret!r} in {text!r}"
        for place, text in places
        for spelling, secret in spellings.items()
        if spelling in text
    ]


def chain(error: BaseException | None) -> list[BaseException]:
    """Return an error, its causes and contexts, suppressed ones too, and the members of groups."""
    pending, seen = [error], list[BaseException]()
    while pending:
        one = pending.pop()
        if one is None or any(one is known for known in seen):
            continue
        seen.append(one)
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return seen


def _spellings(secret: str) -> set[str]:
    assert len(secret) >= _MIN_LENGTH, f"{secret!r} is too short: it may be anywhere by chance"
    encoded = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(encoded).decode().rstrip("="),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
        repr(secret)[1:-1],
    }


def _shown_by_error(error: BaseException | None) -> Iterator[tuple[str, str]]:
    for one in chain(error):
        name = type(one).__name__
        yield f"str of {name}", str(one)
        yield f"repr of {name}", repr(one)
        yield f"args of {name}", repr(one.args)
        yield f"notes of {name}", repr(getattr(one, "__notes__", ()))
        for attribute, value in getattr(one, "__dict__", {}).items():
            yield f"{name}.{attribute}", f"{value!r} {value}"
        yield f"traceback of {name}", "".join(traceback.format_exception(one))


def _shown_by_records(records: Iterable[logging.LogRecord]) -> Iterator[tuple[str, str]]:
    for record in records:
        name = f"record of {record.name}"
        yield name, record.getMessage()
        yield f"arguments of the {name}", f"{record.msg!r} {record.args!r}"
        if record.exc_text:
            yield f"traceback in the {name}", record.exc_text
        if record.exc_info and record.exc_info[1] is not None:
            for place, text in _shown_by_error(record.exc_info[1]):
                yield f"{place} in the {name}", text
