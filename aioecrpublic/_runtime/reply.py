"""From an HTTP reply to a response or an error: AWS JSON 1.0 and 1.1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aioecrpublic._common.masking import Mask
from aioecrpublic._runtime.errors import BrokenReplyError, ServiceError
from aioecrpublic._runtime.serde import Serde, SerdeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.shapes import Operation, ResponseT, Service
    from aioecrpublic._runtime.transport import Reply

_SHOWN = 200
# More than what is shown, so that no secret is cut before it is recognised.
_READ = 64 * 1024


def request_id(headers: Mapping[str, str]) -> str | None:
    """The service's id of the request."""
    return headers.get("x-amzn-RequestId") or headers.get("x-amz-request-id")


def read_response(serde: Serde, operation: Operation[Any, ResponseT], reply: Reply) -> ResponseT:
    """The response in a reply of success.

    Raises:
        BrokenReplyError: It is not what the protocol says.
    """
    try:
        return serde.decode_response(operation, reply.data)
    except SerdeError as error:
        broken = BrokenReplyError(
            f"{operation.method}: the reply cannot be read: {error}",
            status=reply.status,
            request_id=request_id(reply.headers),
        )
        # The service has done what it was asked; asking again may do it twice.
        broken.transient = False
        for shown in (error, broken):
            Mask.of_request(reply.sent).clean(shown)
        raise broken from error


def read_error(
    service: Service,
    serde: Serde,
    operation: Operation[Any, Any],
    reply: Reply,
) -> ServiceError:
    """The error in a reply of failure; any reply gives one, if need be named after its HTTP status.

    The service may repeat the canonical request, token and all, where it refuses a signature: that is hidden.
    """
    mask = Mask.of_request(reply.sent)
    body = _json_object(reply.data)
    name = error_code(reply.headers.get("x-amzn-ErrorType") or body.get("__type") or body.get("code"))
    code = _query_code(reply.headers) if service.query_compatible else ""
    code = code or name
    message = str(body.get("message") or body.get("Message") or body.get("errorMessage") or "")
    if not code:
        code = str(reply.status)
        message = message or _excerpt(reply.data, mask)
    try:
        members = serde.error_members(name, body)
    except SerdeError:
        # The code and the message are worth more than a member of the wrong type.
        members = {}
    cls = service.errors.get(name, ServiceError)
    error = cls(
        message,
        code=code,
        operation=operation.name,
        request_id=request_id(reply.headers),
        status=reply.status,
        **members,
    )
    mask.clean(error)
    return error


def error_code(raw: object) -> str:
    """The bare name: without a namespace before ``#`` or a URI after ``:``."""
    return raw.split(":", 1)[0].rsplit("#", 1)[-1].strip() if isinstance(raw, str) else ""


def _query_code(headers: Mapping[str, str]) -> str:
    """Return the code that the query protocol has for an error, from ``Code;Sender`` or ``Code;Receiver``.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, "x-amzn-query-error".
    """
    code, _, fault = headers.get("x-amzn-query-error", "").partition(";")
    return code if fault else ""


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _excerpt(data: bytes, mask: Mask) -> str:
    text = " ".join(mask.text(data[:_READ].decode("utf-8", "replace")).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
