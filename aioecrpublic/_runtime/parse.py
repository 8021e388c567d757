"""JSON from the wire, in which a long blob stays where it is until it is decoded."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from aioecrpublic._runtime.body import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterable

_DECODER = json.JSONDecoder()


def parsed(data: bytes | bytearray, blobs: Iterable[str] = ()) -> Any:
    """What ``data`` says.

    Args:
        data: JSON.
        blobs: The members of an object that are blobs. In long JSON, one of them is a view of its base64
            within ``data`` instead of a string: as text it would be copied twice, and everybody held up.

    Raises:
        ValueError: It is not JSON.
    """
    if len(data) > SMALL:
        for name in blobs:
            message = _parsed_around(data, name)
            if message is not None:
                return message
    return _parsed(data)


def _parsed(data: bytes | bytearray) -> Any:
    """As ``json.loads``, which looks for other encodings and for white space around it before it begins."""
    try:
        text = data.decode()
        message, end = _DECODER.raw_decode(text)
    except ValueError:
        return json.loads(data)
    return message if end == len(text) else json.loads(data)


def _parsed_around(data: bytes | bytearray, name: str) -> dict[str, Any] | None:
    """An object whose member called ``name`` is a view of ``data``; ``None`` if that is not so simple."""
    opening = re.search(rb'"%s"[ \t\r\n]*:[ \t\r\n]*"' % re.escape(name.encode()), data)
    if opening is None:
        return None
    start = opening.end()
    end = data.find(b'"', start)
    if end < 0 or data.find(b"\\", start, end) >= 0:
        return None
    # Random, so that nothing else in the message can be taken for it.
    mark = secrets.token_hex(16)
    try:
        message = _parsed(b"".join((data[:start], mark.encode(), data[end:])))
    except ValueError:
        return None
    # Else it was a member that only ends like this one, or one further inside, or one that is there twice.
    if not isinstance(message, dict) or message.get(name) != mark:
        return None
    message[name] = memoryview(data)[start:end]
    return message
