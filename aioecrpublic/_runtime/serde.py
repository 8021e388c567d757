"""Between attrs objects and the JSON of the wire, both ways, from the service's shape table.

cattrs compiles one function a class on the way out, on first use; the hooks for members come from the shapes.
The way in is ``decode``.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import cattrs
import pybase64
from cattrs.gen import make_dict_unstructure_fn, override

from aioecrpublic._runtime.body import SMALL, BlobSegment, Body, blob_reader
from aioecrpublic._runtime.decode import Decoder, MissingMemberError, SerdeError
from aioecrpublic._runtime.shapes import (
    Blob,
    BlobReader,
    ListOf,
    MapOf,
    Response,
    String,
    Structure,
    Timestamp,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from aioecrpublic._runtime.errors import ServiceError
    from aioecrpublic._runtime.shapes import Operation, Service, Shape

    Unhook: TypeAlias = Callable[[Any], Any]

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
        self._converter = cattrs.Converter(detailed_validation=False)
        self._unstructurers: dict[str, Unhook] = {}
        self._with_blobs = _with_blobs(service.shapes)
        self._long: dict[type, tuple[str, ...]] = {}

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
            shapes = self._service.shapes
            shape = shapes.get(cls.__name__)
            members = shape.members if isinstance(shape, Structure) else ()
            names = self._long[cls] = tuple(
                member.name for member in members if _may_be_long(shapes[member.shape])
            )
        return names

    def encode_request(self, operation: Operation[Any, Any], request: object) -> Body:
        """The body of a request.

        Raises:
            SerdeError: A member has a type that cannot be serialised (only without validation).
        """
        try:
            message = self._unstructurer(operation.request_shape)(request)
            return _encode(message) if operation.request_shape in self._with_blobs else _encode_text(message)
        except (AttributeError, TypeError, ValueError) as error:
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
        message = self._unstructurer(operation.response_shape)(response)
        for member in self._structure(operation.response_shape).members:
            if isinstance(self._service.shapes[member.shape], ListOf):
                message.setdefault(member.wire, [])
        return _encode(message).read()

    def encode_error(self, error: ServiceError) -> bytes:
        """What a server answers: the body of an error, with its modelled members."""
        body: dict[str, Any] = {"__type": error.code, "message": error.message}
        shape = self._service.shapes.get(error.code)
        for member in shape.members if isinstance(shape, Structure) else ():
            value = getattr(error, member.name, None)
            if member.name != "message" and value is not None:
                body[member.wire] = self._unhook(member.shape)(value)
        return _encode(body).read()

    def error_members(self, code: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The modelled members, beside the message, that an error's body has.

        Raises:
            SerdeError: One of them is not of its shape.
        """
        shape = self._service.shapes.get(code)
        members = shape.members if isinstance(shape, Structure) else ()
        try:
            return {
                member.name: self._decoder.value(member.shape)(body[member.wire])
                for member in members
                if member.name != "message" and body.get(member.wire) is not None
            }
        except _MALFORMED as error:
            raise SerdeError(f"{code}: {error}") from error

    def _decode(self, shape: str, data: bytes | bytearray) -> Any:
        try:
            message = json.loads(data) if data else {}
            if not isinstance(message, dict):
                raise TypeError(f"a JSON {type(message).__name__} where an object belongs")
            return self._decoder.function(shape)(message)
        except _MALFORMED as error:
            raise SerdeError(f"not a {shape}: {error}") from error

    def _unstructurer(self, name: str) -> Unhook:
        """The function from an instance of the structure called ``name`` to what JSON can say."""
        made = self._unstructurers.get(name)
        if made is None:
            shape = self._structure(name)
            overrides: dict[str, Any] = {
                m.name: override(
                    rename=m.wire,
                    unstruct_hook=self._unhook(m.shape),
                    omit_if_default=not m.required,
                )
                for m in shape.members
            }
            made = self._unstructurers[name] = make_dict_unstructure_fn(
                shape.cls,
                self._converter,
                _cattrs_use_linecache=False,
                **_without_metadata(shape.cls) | overrides,
            )
        return made

    def _unhook(self, name: str) -> Unhook:
        shape = self._service.shapes[name]
        match shape:
            case Timestamp():
                return _epoch_seconds
            case Blob():
                return _blob_segment
            case ListOf():
                element = self._unhook(shape.element)
                return lambda values: [element(value) for value in values]
            case MapOf():
                item = self._unhook(shape.value)
                return lambda values: {key: item(value) for key, value in values.items()}
            case Structure():
                # Looked up when called: structures may contain themselves.
                return lambda value: self._unstructurer(name)(value)  # noqa: PLW0108
            case _:
                return _identity

    def _structure(self, name: str) -> Structure:
        shape = self._service.shapes[name]
        if not isinstance(shape, Structure):
            raise TypeError(f"{name} is not a structure")
        return shape


_MALFORMED = (ValueError, TypeError, AttributeError, KeyError, OverflowError, OSError, RecursionError)


def _without_metadata(cls: type) -> dict[str, Any]:
    return {"metadata": override(omit=True)} if issubclass(cls, Response) else {}


def _encode(message: Mapping[str, Any]) -> Body:
    """``message`` as JSON, its large blobs kept apart as segments."""
    blobs: list[BlobSegment] = []
    # Random, so that no text of the user's can be taken for it.
    mark = secrets.token_hex(16)

    def place(value: object) -> str:
        if not isinstance(value, BlobSegment):
            raise TypeError(f"{type(value).__name__} is not a type of the service model")
        if value.length <= SMALL:
            return pybase64.b64encode(value.read(0, value.length)).decode("ascii")
        blobs.append(value)
        return mark

    text = json.dumps(message, separators=(",", ":"), default=place, allow_nan=False)
    pieces = text.encode("ascii").split(mark.encode("ascii"))
    segments: list[bytes | BlobSegment] = [pieces[0]]
    for blob, piece in zip(blobs, pieces[1:], strict=True):
        segments += (blob, piece)
    return Body(tuple(segments))


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


def _identity(value: Any) -> Any:
    return value


def _epoch_seconds(value: dt.datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def _blob_segment(value: bytes | bytearray | memoryview | BlobReader) -> BlobSegment:
    reader = blob_reader(value)
    return BlobSegment(reader, len(reader))
