"""AWS JSON 1.1 as the service speaks it: from a request's bytes to a reply's, errors included."""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._generated.errors import InvalidParameterException, ServerException
from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic._runtime.serde import Serde, SerdeError
from aioecrpublic._runtime.validate import problems
from aioecrpublic.local.operations import HANDLERS
from aioecrpublic.local.state import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic.local.signature import SignatureCheck
    from aioecrpublic.local.state import State

_log = logging.getLogger("aioecrpublic.local")
# base64 of the largest part, and the JSON around it.
LARGEST_BODY: Final = 4 * (20_971_520 // 3 + 1) + 64 * 1024


@attrs.frozen
class ApiReply:
    """A reply, ready to be sent."""

    status: int
    body: bytes
    request_id: str

    @property
    def headers(self) -> dict[str, str]:
        """Its headers."""
        return {"Content-Type": SERVICE.content_type, "x-amzn-RequestId": self.request_id}


class Api:
    """The operations behind their protocol. ``answer`` blocks: it hashes, decodes and writes.

    Args:
        state: The registry.
        signatures: Who may call.
    """

    def __init__(self, state: State, signatures: SignatureCheck) -> None:
        self._state = state
        self._signatures = signatures
        self._serde = Serde(SERVICE)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> ApiReply:
        """The reply to a request; whatever goes wrong is one too."""
        request_id = str(uuid.uuid4())
        try:
            return ApiReply(200, self._call(path, headers, body), request_id)
        except ServiceError as error:
            return ApiReply(error.status, self._serde.encode_error(error), request_id)
        except Exception:
            _log.exception("request %s failed", request_id)
            return ApiReply(500, self._serde.encode_error(ServerException("Internal failure")), request_id)

    def refuse(self, error: ServiceError) -> ApiReply:
        """The reply to a request that was refused before it was read."""
        return ApiReply(error.status, self._serde.encode_error(error), str(uuid.uuid4()))

    def _call(self, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        prefix, _, name = headers.get("X-Amz-Target", "").rpartition(".")
        content_type = headers.get("Content-Type", "").partition(";")[0].strip()
        operation = SERVICE.operations.get(name)
        if operation is None or prefix != SERVICE.target_prefix or content_type != SERVICE.content_type:
            raise ServiceError("", code="UnknownOperationException")
        caller = self._signatures.verify(path, headers, body)
        try:
            request = self._serde.decode_request(operation, body)
        except SerdeError as error:
            raise ServiceError(str(error), code="SerializationException") from error
        if found := problems(SERVICE, operation, request):
            raise InvalidParameterException(_as_aws(found))
        response = HANDLERS[name](Context(self._state, caller), request)
        return self._serde.encode_response(operation, response)


def _as_aws(found: tuple[str, ...]) -> str:
    """Problems in the service's words: its member names, and its frame around them."""
    parts = []
    for problem in found:
        path, _, rest = problem.partition(" ")
        wire = re.sub(r"_([a-z])", lambda match: match[1].upper(), path)
        parts.append(f"Invalid parameter at '{wire}' failed to satisfy constraint: '{rest}'")
    return ", ".join(parts)
