"""AWS JSON 1.1 as the service speaks it: from a request's bytes to a reply's, errors included."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import attrs

from aioecrpublic._generated.errors import InvalidParameterException, ServerException
from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic._runtime.serde import MissingMemberError, Serde, SerdeError
from aioecrpublic._runtime.validate import problems
from aioecrpublic.local.disk import NO_SPACE, is_no_space
from aioecrpublic.local.logs import log, log_failure
from aioecrpublic.local.operations import FREEING_ROOM, HANDLERS, TAKING_ROOM
from aioecrpublic.local.operations.policies import authorize
from aioecrpublic.local.state import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.shapes import Operation
    from aioecrpublic.local.quotas import Quotas
    from aioecrpublic.local.signature import Claim, SignatureCheck
    from aioecrpublic.local.state import State

# base64 of the largest part, and the JSON around it.
_LARGEST_PART: Final = 4 * (20_971_520 // 3 + 1) + 64 * 1024
# A manifest of 4 MiB of which every character is escaped.
_LARGEST_MANIFEST: Final = 6 * 4_194_304 + 64 * 1024
# The largest of the others is catalog data: a logo of 512 000 bytes in base64 and two long texts.
_LARGEST_OTHER: Final = 2 * 1024 * 1024
_LARGEST: Final = {"UploadLayerPart": _LARGEST_PART, "PutImage": _LARGEST_MANIFEST}


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


@attrs.define
class ApiCall:
    """A request whose body is worth reading.

    Attributes:
        operation: What is called.
        path: The path of its URL.
        headers: Its headers, by their names in lower case.
        claim: What they say about its signature.
        is_verified: Whether the signature has turned out to be right.
    """

    operation: Operation[Any, Any]
    path: str
    headers: Mapping[str, str]
    claim: Claim
    is_verified: bool = False

    @property
    def largest_body(self) -> int:
        """Bytes that its body may have."""
        return _LARGEST.get(self.operation.name, _LARGEST_OTHER)


class Api:
    """The operations behind their protocol.

    Args:
        state: The registry.
        signatures: Who may call.
        quotas: How often.
    """

    def __init__(self, state: State, signatures: SignatureCheck, quotas: Quotas) -> None:
        self._state = state
        self._signatures = signatures
        self._quotas = quotas
        self._serde = Serde(SERVICE, strict=True)

    def accept(self, path: str, headers: Mapping[str, str]) -> ApiCall:
        """What a request is, by its headers alone.

        Args:
            path: The path of its URL, as it was sent.
            headers: Its headers, by their names in lower case.

        Raises:
            ServiceError: It need not be read any further.
        """
        prefix, _, name = headers.get("x-amz-target", "").rpartition(".")
        content_type = headers.get("content-type", "").partition(";")[0].strip()
        operation = SERVICE.operations.get(name)
        if operation is None or prefix != SERVICE.target_prefix or content_type != SERVICE.content_type:
            raise ServiceError("", code="UnknownOperationException")
        claim = self._signatures.claim(headers)
        self._quotas.take(claim.identity.account, operation.name)
        return ApiCall(operation, path, headers, claim)

    def verify_early(self, call: ApiCall) -> None:
        """Verify the signature before the body has come, if the request says what the body's hash will be.

        Raises:
            ServiceError: The signature is wrong.
        """
        declared = self._signatures.declared_hash(call.headers)
        if declared is not None:
            self._signatures.verify(call.claim, call.path, call.headers, declared)
            call.is_verified = True

    def answer(self, call: ApiCall, body: bytes | bytearray) -> ApiReply:
        """The reply to a request; whatever goes wrong is one too. Blocks: it hashes, decodes and writes."""
        request_id = str(uuid.uuid4())
        try:
            return ApiReply(200, self._call(call, body), request_id)
        except ServiceError as error:
            return self.refuse(error, request_id)
        except Exception as error:  # noqa: BLE001 - a server answers its own faults too
            if is_no_space(error):
                log.warning("%s failed, request %s: %s", call.operation.name, request_id, NO_SPACE)
                return self.refuse(_no_space(), request_id)
            log_failure(f"{call.operation.name} failed, request {request_id}", error)
            return self.refuse(ServerException("Internal failure"), request_id)

    def refuse(self, error: ServiceError, request_id: str | None = None) -> ApiReply:
        """The reply that says an error."""
        return ApiReply(error.status, self._serde.encode_error(error), request_id or str(uuid.uuid4()))

    def _call(self, call: ApiCall, body: bytes | bytearray) -> bytes:
        operation = call.operation
        payload_hash = hashlib.sha256(body).hexdigest()
        caller = self._signatures.verify(call.claim, call.path, call.headers, payload_hash)
        call.is_verified = True
        try:
            request = self._serde.decode_request(operation, body)
        except MissingMemberError as error:
            raise InvalidParameterException(_invalid(error.member, "must not be null")) from error
        except SerdeError as error:
            raise ServiceError(str(error), code="SerializationException") from error
        if found := problems(SERVICE, operation, request):
            raise InvalidParameterException(_as_aws(found))
        context = Context(self._state, caller)
        authorize(context, operation.name, request)
        try:
            response = self._handle(operation.name, context, request)
        except UnicodeEncodeError as error:
            raise ServiceError("half of a surrogate pair", code="SerializationException") from error
        return self._serde.encode_response(operation, response)

    def _handle(self, name: str, context: Context, request: Any) -> Any:
        handler = HANDLERS[name]
        if name in FREEING_ROOM:
            return self._state.disk.free(lambda: handler(context, request))
        if name in TAKING_ROOM:
            self._state.disk.require_room()
        return handler(context, request)


def _no_space() -> ServiceError:
    """Return the error of a full disk, which no client takes for one that passes by itself."""
    return ServiceError(NO_SPACE, code="InsufficientStorageException", status=507)


def _as_aws(found: tuple[str, ...]) -> str:
    """Problems in the service's words: its member names, and its frame around them."""
    parts = []
    for problem in found:
        path, _, rest = problem.partition(" ")
        parts.append(_invalid(re.sub(r"_([a-z])", lambda match: match[1].upper(), path), rest))
    return ", ".join(parts)


def _invalid(member: str, constraint: str) -> str:
    return f"Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'"
