"""Errors as a registry says them: distribution-spec, "Error Codes"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}


class V2Error(Exception):
    """What is answered instead of what was asked for.

    Args:
        status: The HTTP status.
        code: One of the specification's codes.
        message: What is wrong.
        headers: More headers of the reply.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers: Mapping[str, str] = headers or {}

    def response(self) -> web.Response:
        """The reply."""
        error = {"code": self.code, "message": self.message}
        return web.Response(
            status=self.status,
            body=json.dumps({"errors": [error]}).encode(),
            content_type="application/json",
            headers={**API_VERSION, **self.headers},
        )


def unknown_name(name: str) -> V2Error:
    """There is no such repository."""
    return V2Error(404, "NAME_UNKNOWN", f"The repository with name '{name}' does not exist in the registry")


def unknown_blob() -> V2Error:
    """There is no such blob."""
    return V2Error(404, "BLOB_UNKNOWN", "blob unknown to registry")


def unknown_upload() -> V2Error:
    """There is no such upload."""
    return V2Error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def wrong_digest() -> V2Error:
    """What came does not have the digest that it should."""
    return V2Error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")


def unsupported() -> V2Error:
    """The registry does not do this."""
    return V2Error(405, "UNSUPPORTED", "The operation is unsupported.")
