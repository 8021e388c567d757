"""Between messages and the bytes of the wire, both ways: JSON around what ``encode`` and ``decode`` make."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from aioecrpublic._runtime.body import SMALL, BlobSegment, Body
from aioecrpublic._runtime.decode import Decoder, MissingMemberError, SerdeError
from aioecrpublic._runtime.encode import Encoder
from aioecrpublic._runtime.parse import parsed
from aioecrpublic._runtime.shapes import Blob, ListOf, MapOf, Response, String, Structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aioecrpublic._runtime.errors import ServiceError
    from aioecrpublic._runtime.shapes import Member, Operation, Service, Shape

__all__ = ["MissingMemberError", "Serde", "SerdeError"]

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT", bound=Response)
# Compact, and ASCII so that any string at all can be encoded.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False)


class Serde:
    """Everything that one service's messages need, compiled when it is first used.

    Args:
        service: The service.
        strict: Whether what is required has to be there, as a server wants it.
    """

    def __init__(self, service: Service, *, strict: bool = False) -> None:
        self._service = service
        self._decoder = Decoder(service.shapes, strict=strict)
        self._encoder = Encoder(service.shapes)
        self._with_blobs = _with_blobs(service.shapes)
        self._long: dict[type, tuple[str, ...]] = {}
        # Stands for a blob while the text around it is made. It is random and never leaves the process, so no
        # text of the user's can be taken for it.
        self._mark = secrets.token_hex(16)

    def is_large(self, request: object) -> bool:
        """Whether encoding ``request`` would hold up an event loop: it has a long string in it."""
        for name in self._long_strings(type(request)):
            value = getattr(request, name)
            if isinstance(value, str) and len(value) > SMALL:
                return True
        return False

    def _long_strings(self, cls: type) -> tuple[str, ...]:
        """The members of a request that may be strings longer than what is encoded at once."""
        names = self._long.get(cls)
        if names is None:
            names = self._long[cls] = tuple(
                member.name
                for member in self._members(cls.__name__)
                if _may_be_long(self._service.shapes[member.shape])
            )
        return names

    def encode_request(self, operation: Operation[Any, Any], request: object) -> Body:
        """The body of a request.

        Raises:
            SerdeError: A member has a type that cannot be serialised (only without validation).
        """
        try:
            message = self._encoder.function(operation.request_shape)(request)
            with_blobs = operation.request_shape in self._with_blobs
            return self._encode(message) if with_blobs else _encode_text(message)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise SerdeError(f"{operation.name} cannot be serialised: {error}") from error

    def decode_response(self, operation: Operation[Any, _ResponseT], data: bytes) -> _ResponseT:
        """The response in the body of a reply; an empty body is an empty response.

        Raises:
            SerdeError: The body is not JSON, or not of the response's shape.
        """
        response: _ResponseT = self._decode(operation.response_shape, data)
        return response

    def decode_request(self, operation: Operation[_RequestT, Any], data: bytes | bytearray) -> _RequestT:  # type: ignore[type-var]
        """What a server reads: the request in a body.

        Raises:
            MissingMemberError: A required member is not there (only if strict).
            SerdeError: The body is not JSON, or not of the request's shape.
        """
        request: _RequestT = self._decode(operation.request_shape, data)
        return request

    def encode_response(self, operation: Operation[Any, Any], response: Response) -> bytes:
        """What a server answers: the body of a response, its own lists there even when they are empty."""
        message = self._encoder.function(operation.response_shape)(response)
        for member in self._members(operation.response_shape):
            if isinstance(self._service.shapes[member.shape], ListOf):
                message.setdefault(member.wire, [])
        return self._encode(message).read()

    def encode_error(self, error: ServiceError) -> bytes:
        """What a server answers: the body of an error, with its modelled members."""
        body: dict[str, Any] = {"__type": error.code, "message": error.message}
        for member in self._members(error.code):
            value = getattr(error, member.name, None)
            if member.name != "message" and value is not None:
                body[member.wire] = self._encoder.value(member.shape)(value)
        return self._encode(body).read()

    def error_members(self, code: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The modelled members, beside the message, that an error's body has.

        Raises:
            SerdeError: One of them is not of its shape.
        """
        try:
            return {
                member.name: self._decoder.value(member.shape)(body[member.wire])
                for member in self._members(code)
                if member.name != "message" and body.get(member.wire) is not None
            }
        except _MALFORMED as error:
            raise SerdeError(f"{code}: {error}") from error

    def _encode(self, message: Mapping[str, Any]) -> Body:
        """``message`` as JSON, into which blobs are put as they are: base64 needs no escaping.

        Small ones are part of the text; large ones, and those that have to be waited for, are segments.
        """
        blobs: list[bytes | BlobSegment] = []

        def place(value: object) -> str:
            if not isinstance(value, BlobSegment):
                raise TypeError(f"{type(value).__name__} is not a type of the service model")
            small = value.length <= SMALL
            encoded = value.encoded_now(0, memoryview(bytearray(value.length))) if small else None
            blobs.append(value if encoded is None else encoded)
            return self._mark

        text = json.dumps(message, separators=(",", ":"), default=place, allow_nan=False).encode("ascii")
        first, *others = text.split(self._mark.encode("ascii"))
        segments: list[bytes | BlobSegment] = [first]
        for blob, piece in zip(blobs, others, strict=True):
            segments += (blob, piece)
        return Body(_joined(segments))

    def _decode(self, shape: str, data: bytes | bytearray) -> Any:
        try:
            message = parsed(data, self._blobs(shape)) if data else {}
            if not isinstance(message, dict):
                raise TypeError(f"a JSON {type(message).__name__} where an object belongs")
            return self._decoder.function(shape)(message)
        except _MALFORMED as error:
            raise SerdeError(f"not a {shape}: {error}") from error

    def _blobs(self, name: str) -> tuple[str, ...]:
        """The members on the wire of the structure called ``name`` that are blobs."""
        if name not in self._with_blobs:
            return ()
        return tuple(
            member.wire
            for member in self._members(name)
            if isinstance(self._service.shapes[member.shape], Blob)
        )

    def _members(self, name: str) -> tuple[Member, ...]:
        """The members of the structure called ``name``; none if there is no such structure."""
        shape = self._service.shapes.get(name)
        return shape.members if isinstance(shape, Structure) else ()


_MALFORMED = (ValueError, TypeError, AttributeError, KeyError, OverflowError, OSError, RecursionError)


def _joined(segments: Iterable[bytes | BlobSegment]) -> tuple[bytes | BlobSegment, ...]:
    """The same with neighbours that are bytes in one piece."""
    pieces: list[bytes | BlobSegment] = []
    texts: list[bytes] = []
    for segment in segments:
        if isinstance(segment, bytes):
            texts.append(segment)
        else:
            pieces += (b"".join(texts), segment)
            texts = []
    return (*pieces, b"".join(texts))


def _encode_text(message: Mapping[str, Any]) -> Body:
    return Body((_ENCODER.encode(message).encode("ascii"),))


def _with_blobs(shapes: Mapping[str, Shape]) -> frozenset[str]:
    """The names of the shapes that have a blob somewhere in them."""
    found = {name for name, shape in shapes.items() if isinstance(shape, Blob)}
    before = 0
    while len(found) != before:
        before = len(found)
        found |= {name for name, shape in shapes.items() if found.intersection(_parts(shape))}
    return frozenset(found)


def _may_be_long(shape: Shape) -> bool:
    return isinstance(shape, String) and (shape.max is None or shape.max > SMALL)


def _parts(shape: Shape) -> tuple[str, ...]:
    match shape:
        case Structure():
            return tuple(member.shape for member in shape.members)
        case ListOf():
            return (shape.element,)
        case MapOf():
            return (shape.value,)
        case _:
            return ()
