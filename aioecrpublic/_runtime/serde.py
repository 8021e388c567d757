"""Between attrs objects and the JSON of the wire, both ways, from the service's shape table.

cattrs compiles one function a class and direction, on first use; the hooks for members come from the shapes.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import cattrs
import pybase64
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from aioecrpublic._base import ECRPublicError
from aioecrpublic._runtime.body import SMALL, BlobSegment, Body, blob_reader
from aioecrpublic._runtime.shapes import (
    Blob,
    BlobReader,
    Boolean,
    ListOf,
    MapOf,
    Number,
    Response,
    String,
    Structure,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioecrpublic._runtime.errors import ServiceError
    from aioecrpublic._runtime.shapes import Member, Operation, Service, Shape

    Hook: TypeAlias = Callable[[Any, Any], Any]
    Unhook: TypeAlias = Callable[[Any], Any]

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT", bound=Response)
_UTC = dt.UTC
# Compact, and ASCII so that any string at all can be encoded.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False)


class SerdeError(ECRPublicError):
    """JSON that is not JSON, or not of the shape that the model says."""


class MissingMemberError(SerdeError):
    """A required member that is not there.

    Attributes:
        member: Its name on the wire.
    """

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} is required")
        self.member = member


class Serde:
    """Everything that one service's messages need, compiled when it is first used.

    Args:
        service: The service.
        strict: Whether what is required has to be there, as a server wants it.
    """

    def __init__(self, service: Service, *, strict: bool = False) -> None:
        self._service = service
        self._strict = strict
        self._converter = cattrs.Converter(detailed_validation=False)
        self._structurers: dict[str, Callable[[Any], Any]] = {}
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
                member.name: self._hook(member)(body[member.wire], None)
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
            return self._structurer(shape)(message)
        except _MALFORMED as error:
            raise SerdeError(f"not a {shape}: {error}") from error

    def _structurer(self, name: str) -> Callable[[Any], Any]:
        """The function from a JSON object to an instance of the structure called ``name``."""
        made = self._structurers.get(name)
        if made is None:
            made = self._structurers[name] = self._compile_structurer(name)
        return made

    def _compile_structurer(self, name: str) -> Callable[[Any], Any]:
        shape = self._structure(name)
        overrides = {m.name: override(rename=m.wire, struct_hook=self._hook(m)) for m in shape.members}
        # cattrs types its options and the overrides of members as one and the same ``**kwargs``.
        options: dict[str, Any] = {**_without_metadata(shape.cls), **overrides}
        structure: Hook = make_dict_structure_fn(
            shape.cls,
            self._converter,
            _cattrs_detailed_validation=False,
            _cattrs_use_linecache=False,
            **options,
        )
        # What the service leaves out although it is required becomes its shape's zero, as Smithy clients do
        # it ("client error correction"): a reply is no place to be strict about what may be missing.
        zeros = {m.wire: self._zero(m) for m in shape.members if m.required}

        def from_json(value: Any) -> Any:
            if value.__class__ is not dict:
                raise TypeError(f"{name}: a JSON {type(value).__name__} where an object belongs")
            if zeros and not all(wire in value for wire in zeros):
                if self._strict:
                    raise MissingMemberError(next(wire for wire in zeros if wire not in value))
                value = {wire: zero() for wire, zero in zeros.items()} | value
            return structure(value, shape.cls)

        return from_json

    def _zero(self, member: Member) -> Callable[[], Any]:
        shape = self._service.shapes[member.shape]
        match shape:
            case Structure() | MapOf():
                return dict
            case ListOf():
                return list
            case Number() | Timestamp():
                return int
            case Boolean():
                return bool
            case _:
                return str

    def _hook(self, member: Member) -> Hook:
        """The function from a member's JSON to its value; ``null`` is as good as absent."""
        convert = self._value_hook(member.shape)
        shape = self._service.shapes[member.shape]
        if isinstance(shape, ListOf | MapOf):
            return convert
        if member.required:
            zero = self._zero(member)
            return lambda value, _: convert(zero() if value is None else value, None)
        if isinstance(shape, String) and shape.enum is None:
            return _optional_string
        return lambda value, _: None if value is None else convert(value, None)

    def _value_hook(self, name: str) -> Hook:
        shape = self._service.shapes[name]
        match shape:
            case Structure():
                # Looked up when called: structures may contain themselves.
                hook: Hook = lambda value, _: self._structurer(name)(value)  # noqa: E731 - as all the others
            case ListOf():
                hook = _list_hook(self._value_hook(shape.element))
            case MapOf():
                hook = _map_hook(self._value_hook(shape.value))
            case String() if shape.enum is not None:
                hook = _enum_hook(shape.enum)
            case Number() if not shape.integer:
                hook = _number
            case _:
                hook = _SCALAR_HOOKS[type(shape)]
        return hook

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


def _optional_string(value: Any, _: Any) -> str | None:
    return value if value is None or value.__class__ is str else _string(value, _)


def _string(value: Any, _: Any) -> str:
    if value.__class__ is not str:
        raise TypeError(f"a JSON {type(value).__name__} where a string belongs")
    return value


def _integer(value: Any, _: Any) -> int:
    if value.__class__ is int:
        return value
    if value.__class__ is float and value.is_integer():
        return int(value)
    raise TypeError(f"a JSON {type(value).__name__} where an integer belongs")


def _number(value: Any, _: Any) -> float:
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    raise TypeError(f"a JSON {type(value).__name__} where a number belongs")


def _boolean(value: Any, _: Any) -> bool:
    if value.__class__ is not bool:
        raise TypeError(f"a JSON {type(value).__name__} where a boolean belongs")
    return value


def _timestamp(value: Any, _: Any) -> dt.datetime:
    if value.__class__ is float or value.__class__ is int:
        return dt.datetime.fromtimestamp(value, _UTC)
    return _parse_timestamp(_string(value, _))


def _parse_timestamp(text: str) -> dt.datetime:
    """A timestamp written out: epoch seconds as a string, or ISO 8601."""
    try:
        return dt.datetime.fromtimestamp(float(text), _UTC)
    except ValueError:
        moment = dt.datetime.fromisoformat(text)
        return moment.replace(tzinfo=_UTC) if moment.tzinfo is None else moment


def _blob(value: Any, _: Any) -> bytes:
    return pybase64.b64decode(_string(value, _), validate=True)


_SCALAR_HOOKS: Mapping[type[Shape], Hook] = {
    String: _string,
    Number: _integer,
    Boolean: _boolean,
    Timestamp: _timestamp,
    Blob: _blob,
}


def _enum_hook(enum: type[str]) -> Hook:
    known: Mapping[str, str] = {str(value): value for value in enum}  # type: ignore[attr-defined]

    def hook(value: Any, _: Any) -> str:
        text = _string(value, _)
        return known.get(text, text)

    return hook


def _list_hook(element: Hook) -> Hook:
    def hook(values: Any, _: Any) -> list[Any]:
        if values is None:
            return []
        if values.__class__ is not list:
            raise TypeError(f"a JSON {type(values).__name__} where a list belongs")
        return [element(value, None) for value in values if value is not None]

    return hook


def _map_hook(item: Hook) -> Hook:
    def hook(values: Any, _: Any) -> dict[str, Any]:
        if values is None:
            return {}
        if values.__class__ is not dict:
            raise TypeError(f"a JSON {type(values).__name__} where an object belongs")
        return {key: item(value, None) for key, value in values.items() if value is not None}

    return hook


def _epoch_seconds(value: dt.datetime) -> float:
    seconds = value.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def _blob_segment(value: bytes | bytearray | memoryview | BlobReader) -> BlobSegment:
    reader = blob_reader(value)
    return BlobSegment(reader, len(reader))
