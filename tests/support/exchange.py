"""One HTTP request, sent exactly as it is told."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Reply:
    """A reply as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error of the API."""
        code: str = json.loads(self.body)["__type"]
        return code

    @property
    def message(self) -> str:
        """The message of an error of the API."""
        message: str = json.loads(self.body)["message"]
        return message

    @property
    def codes(self) -> list[str]:
        """The codes of the errors of the registry API."""
        return [error["code"] for error in json.loads(self.body)["errors"]]


def exchange(
    url: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send a request to the server of a URL."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()
