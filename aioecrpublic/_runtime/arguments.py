"""Whether an argument can be used, with an error that names it."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Final, TypeVar, cast

from aioecrpublic._common import numbers
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")

# As botocore has it: a region becomes a label of a host's name.
_REGION: Final = re.compile(r"(?![0-9]+\Z)(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# RFC 9110, sections 5.6.2 and 5.5; what is not ASCII is sent as UTF-8.
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
# They say where a request ends, which the HTTP client does.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


def check_text(name: str, value: object) -> None:
    """Refuse what is neither a string nor ``None``.

    Raises:
        ConfigurationError: Naming the argument.
    """
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str (got {type(value).__name__})")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither a truth value nor ``None``.

    Raises:
        ConfigurationError: Naming the argument.
    """
    if value is not None and not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False (got {numbers.shown_number(value)})")


def check_region(name: str, value: str) -> None:
    """Refuse what cannot be a region.

    Raises:
        ConfigurationError: Naming the argument.
    """
    if _REGION.fullmatch(value) is None:
        raise ConfigurationError(f"{name} {value!r} is not a valid region")


def check_count(name: str, value: object) -> int:
    """Return a whole number that is at least 1.

    Raises:
        ConfigurationError: It is something else.
    """
    return _checked(numbers.check_count, name, value)


def check_positive(name: str, value: object) -> float:
    """Return a number above 0, such as seconds.

    Raises:
        ConfigurationError: It is something else.
    """
    return _checked(numbers.check_positive, name, value)


def check_limit(name: str, value: object) -> float:
    """Return a number that is not below 0, such as seconds to wait at the most; infinity waits for ever.

    Raises:
        ConfigurationError: It is something else.
    """
    if numbers.is_number(value) and (0 <= value < sys.float_info.max or value == math.inf):
        return float(value)
    raise ConfigurationError(f"{name} must be a number of at least 0 (got {numbers.shown_number(value)})")


def check_session(session: object) -> None:
    """Refuse what cannot make requests, as an ``aiohttp.ClientSession`` does.

    Raises:
        ConfigurationError: It is something else.
    """
    usable = callable(getattr(session, "request", None)) and hasattr(session, "closed")
    if session is not None and not usable:
        raise ConfigurationError(f"session must be an aiohttp.ClientSession (got {type(session).__name__})")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that cannot be sent; their values are not shown.

    Raises:
        ConfigurationError: Naming the header.
    """
    # Whatever a hook has put there.
    for name, value in cast("Mapping[object, object]", headers).items():
        if not isinstance(name, str) or _HEADER_NAME.fullmatch(name) is None:
            raise ConfigurationError(f"before_send: {name!r} is not a valid name of a header")
        if not isinstance(value, str) or _HEADER_VALUE.fullmatch(value) is None:
            raise ConfigurationError(f"before_send: the value of {name} is not a valid one of a header")
        if name.lower() in _FRAMING:
            raise ConfigurationError(f"before_send: {name} must be left to the client")


def _checked(check: Callable[[str, object], _T], name: str, value: object) -> _T:
    try:
        return check(name, value)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
