"""Long blobs stay where they are in JSON, and whatever else it says is what ``json`` reads."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from aioecrpublic._runtime.body import SMALL
from aioecrpublic._runtime.parse import parsed

LONG = base64.b64encode(bytes(range(256)) * 256).decode()
assert len(LONG) > SMALL


def as_text(message: Any) -> Any:
    """A message with strings instead of views."""
    if not isinstance(message, dict):
        return message
    return {
        key: bytes(value).decode() if isinstance(value, memoryview) else value
        for key, value in message.items()
    }


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize(
    "text",
    [
        f'{{"blob":"{LONG}"}}',
        f'{{"blob" :\t\r\n "{LONG}" , "a": 1}}',
        f'{{"a": "b", "c": [{{"d": null}}], "blob": "{LONG}"}}',
        f'  {{"ä": "ü", "blob": "{LONG}", "ö": "\\u00df\\""}}\n',
        f'{{"a": "\\"blob", "blob": "{LONG}"}}',
        f'{{"other": "{LONG}", "blob": "short"}}',
    ],
)
def test_a_long_blob_is_a_view(text: str, kind: type[bytes | bytearray]) -> None:
    data = kind(text.encode())
    message = parsed(data, ("none", "blob"))
    assert isinstance(message["blob"], memoryview)
    assert message["blob"].obj is data
    assert as_text(message) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"blob": "{LONG[:100]}\\/{LONG}"}}',
        f'{{"blob": "{LONG}", "blob": "short"}}',
        f'{{"blob": "{LONG}", "blob": null}}',
        f'{{"a\\"blob": "{LONG}", "blob": "short"}}',
        f'{{"a\\"blob": "{LONG}"}}',
        f'{{"a": {{"blob": "{LONG}"}}, "blob": "short"}}',
        f'{{"a": {{"blob": "{LONG}"}}}}',
        f'[{{"blob": "{LONG}"}}]',
        f'{{"bl\\u006fb": "{LONG}"}}',
        f'{{"blob": null, "other": "{LONG}"}}',
        f'{{"blobs": "{LONG}"}}',
        '{"blob": "short"}',
    ],
)
def test_what_is_not_so_simple_is_read_as_ever(text: str) -> None:
    message = parsed(text.encode(), ("blob",))
    assert message == json.loads(text)
    assert not isinstance(message, dict) or not isinstance(message.get("blob"), memoryview)


def test_blobs_are_left_alone_only_where_they_are_asked_for() -> None:
    text = f'{{"blob": "{LONG}"}}'
    assert parsed(text.encode()) == parsed(text.encode(), ("other",)) == json.loads(text)


@pytest.mark.parametrize("text", [f'{{"blob": "{LONG}', f'{{"blob": "{LONG}"', f'{{"blob": "{LONG}"}}}}'])
def test_what_is_not_json_is_told_as_json_tells_it(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as caught:
        parsed(text.encode(), ("blob",))
    assert str(caught.value) == str(expected.value)
