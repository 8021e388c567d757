"""What the generated tables are made of: shapes, operations, the roots of requests and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    TypeGuard,
    TypeVar,
    Union,
    cast,
    runtime_checkable,
)

import attrs

if TYPE_CHECKING:
    from aioecrpublic._runtime.errors import ServiceError


@runtime_checkable
class BlobReader(Protocol):
    """Bytes that can be read again at any place without being held in memory, such as a region of a file.

    A blob member of a request takes one wherever it takes ``bytes``. It is read from worker threads,
    twice per attempt at the most: to hash the request and to send it.

    It may also have a method ``read_now(offset, buffer)``, which fills the writable ``memoryview`` with the
    bytes from ``offset`` on if they are at hand, and says whether it has. It is called on the event loop, so
    it must not wait for anything, a disk included. It spares most of the trips to a worker thread.
    """

    def __len__(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Exactly ``length`` bytes from ``offset`` on; anything else is an error that it raises itself."""
        ...


def is_blob_reader(value: object) -> TypeGuard[BlobReader]:
    """As ``isinstance`` says, which takes twenty times as long for a protocol."""
    return hasattr(value, "read_at") and hasattr(value, "__len__")


JSON: TypeAlias = Union[Mapping[str, "JSON"], Sequence["JSON"], str, float, bool, None]  # noqa: UP007 - recursive
"""JSON of any kind: what a member has whose shape is a document."""
BytesLike: TypeAlias = bytes | bytearray | memoryview
TimestampFormat: TypeAlias = Literal["unixTimestamp", "iso8601", "rfc822"]
BlobInput: TypeAlias = BytesLike | BlobReader


_ItemT = TypeVar("_ItemT")


class AbsentList(list[_ItemT]):  # noqa: FURB189 - it is a list to JSON and to whoever reads it
    """The list of a member that is absent; as long as it is empty, the member is not sent.

    A structure that is both received and sent has it in place of ``None``, so that an absent list reads as an
    empty one, and a list that was set to be empty is still sent.
    """

    __slots__ = ()


class AbsentDict(dict[str, _ItemT]):  # noqa: FURB189 - the same
    """The same for a map."""

    __slots__ = ()


def is_absent(value: object) -> bool:
    """Say whether a member with this value is absent."""
    return value is None or (isinstance(value, AbsentList | AbsentDict) and not value)


class Model:
    """The root of the generated structures: equal if their members are, and shown by their members.

    attrs could write both methods for each class; compiling them was most of the time that an import took.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(
            getattr(self, field.name) == getattr(other, field.name) for field in _fields(self) if field.eq
        )

    # They can be changed, so they have no hash.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={(field.repr if callable(field.repr) else repr)(getattr(self, field.name))}"
            for field in _fields(self)
            if field.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _fields(model: Model) -> tuple[attrs.Attribute[Any], ...]:
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cast("type[attrs.AttrsInstance]", type(model)))
    return fields


@attrs.frozen(kw_only=True)
class ResponseMetadata:
    """How a call went, beside what it returned.

    Attributes:
        request_id: The service's id of the last attempt (``x-amzn-requestid``), ``None`` if it sent none.
        status: The HTTP status of the last attempt.
        attempts: How many requests were sent, 1 when the first succeeded.
        retry_delay: Seconds spent waiting between attempts, in total.
    """

    request_id: str | None = None
    status: int = 0
    attempts: int = 0
    retry_delay: float = 0.0


_NO_METADATA = ResponseMetadata()
# What the names of operations begin with that change nothing, as AWS gives them.
_READING = ("BatchCheck", "BatchGet", "Describe", "Get", "Head", "List")


@attrs.define(kw_only=True, eq=False, repr=False)
class Response(Model):
    """The root of every operation's response.

    Attributes:
        metadata: Request id, status, attempts and retry delay; takes no part in ``==`` or ``repr``.
    """

    metadata: ResponseMetadata = attrs.field(default=_NO_METADATA, eq=False, repr=False)


# Subclasses repeat the annotation in modules where its name would mean nothing.
attrs.resolve_types(Response)


ResponseT = TypeVar("ResponseT", bound=Response)
ResponseT_co = TypeVar("ResponseT_co", bound=Response, covariant=True)


class Request(Model, Generic[ResponseT_co]):
    """The root of every operation's request; its argument is the response that the operation returns."""

    __slots__ = ()


RequestT = TypeVar("RequestT", bound="Request[Any]")


@attrs.frozen(eq=False)
class String:
    """A string; lengths in characters, ``pattern`` matches the whole of it."""

    min: int | None = None
    max: int | None = None
    pattern: str | None = None
    enum: type[str] | None = None


@attrs.frozen(eq=False)
class Number:
    """An integer or, with ``integer=False``, a floating-point number."""

    min: float | None = None
    max: float | None = None
    integer: bool = True


@attrs.frozen(eq=False)
class Boolean:
    """True or false."""


@attrs.frozen(eq=False)
class Timestamp:
    """A point in time: a timezone-aware ``datetime`` here, epoch seconds or a written date on the wire."""

    format: TimestampFormat = "unixTimestamp"


@attrs.frozen(eq=False)
class Document:
    """JSON of any kind, as it is."""


@attrs.frozen(eq=False)
class Blob:
    """Bytes, base64 on the wire; lengths in bytes, before base64."""

    min: int | None = None
    max: int | None = None


@attrs.frozen(eq=False)
class ListOf:
    """A list of the shape named ``element``; ``None`` may stand for an element of a sparse one."""

    element: str
    min: int | None = None
    max: int | None = None
    sparse: bool = False


@attrs.frozen(eq=False)
class MapOf:
    """A map from strings to the shape named ``value``; ``None`` may stand for a value of a sparse one."""

    key: str
    value: str
    min: int | None = None
    max: int | None = None
    sparse: bool = False


@attrs.frozen(eq=False)
class Member:
    """One member of a structure: our name, the wire's name, the name of its shape."""

    name: str
    wire: str
    shape: str
    required: bool = False


@attrs.frozen(eq=False)
class Structure:
    """A class of ours and its members; of a union, exactly one is set."""

    cls: type
    members: tuple[Member, ...] = ()
    union: bool = False


Shape: TypeAlias = String | Number | Boolean | Timestamp | Document | Blob | ListOf | MapOf | Structure


@attrs.frozen(eq=False)
class Pagination:
    """How an operation pages, in our member names; ``result`` is the list that the items come from."""

    input_token: str
    output_token: str
    result: str
    limit: str | None = None


EndpointKey: TypeAlias = tuple[str, bool, bool]
"""Region, FIPS, dual-stack."""


@attrs.frozen(kw_only=True, eq=False)
class Endpoints:
    """Endpoints that some operations of a service have to themselves.

    Attributes:
        urls: What botocore's rule set answers: a URL.
        signing_regions: The region to sign for where it is another than the client's.
    """

    urls: Mapping[EndpointKey, str]
    signing_regions: Mapping[EndpointKey, str]


@attrs.frozen(kw_only=True, eq=False)
class OperationEndpoint:
    """How an operation's endpoint differs from the service's.

    Attributes:
        own: The operation's entry in the service's ``own_endpoints``, if it has one.
        members: The members that the endpoint depends on, by the parameters of botocore's rule set.
        parameters: What else is given to that rule set.
        url_member: The member that is the endpoint's URL.
        host_prefix: What the host is prefixed with; a member in braces stands for its value.
        discovered: Whether the service has to be asked for the endpoint first, which is not done here.
    """

    own: str | None = None
    members: Mapping[str, str] = attrs.field(factory=dict)
    parameters: Mapping[str, str | bool] = attrs.field(factory=dict)
    url_member: str | None = None
    host_prefix: str = ""
    discovered: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Traits:
    """What an operation needs beside a signed POST of JSON to the service's endpoint.

    Attributes:
        signed: Whether its requests are signed.
        tokens: The members that, when absent, are filled in with a token that is the same in every attempt.
        compressed: Whether a large body is compressed.
        endpoint: How its endpoint differs from the service's.
    """

    signed: bool = True
    tokens: tuple[str, ...] = ()
    compressed: bool = False
    endpoint: OperationEndpoint | None = None


@attrs.frozen(kw_only=True, eq=False)
class Operation(Generic[RequestT, ResponseT]):
    """One operation of the service.

    Attributes:
        name: The model's name, which ``X-Amz-Target`` ends in.
        method: The name of the client's method.
        request: The class of its request.
        response: The class of its response.
        request_shape: The name of the request's shape.
        response_shape: The name of the response's shape.
        errors: The modelled errors that it may raise.
        pagination: How it pages, if it does.
        quota: Published requests per second for one account in one region, if there is one.
        regions: The only regions that serve it; ``None`` means all of the service's.
        traits: What else it needs, if anything.
    """

    name: str
    method: str
    request: type[RequestT]
    response: type[ResponseT]
    request_shape: str
    response_shape: str
    errors: tuple[type[ServiceError], ...] = ()
    pagination: Pagination | None = None
    quota: float | None = None
    regions: tuple[str, ...] | None = None
    traits: Traits | None = None

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, by the names that AWS gives to such operations."""
        return self.name.startswith(_READING)


@attrs.frozen(kw_only=True, eq=False)
class Service:
    """A service as its model describes it, whole.

    Attributes:
        name: botocore's name of it, such as ``ecr-public``.
        service_id: The model's ``serviceId``.
        api_version: The date of the model.
        content_type: The content type of requests and responses.
        target_prefix: What ``X-Amz-Target`` begins with, before the dot.
        signing_name: The service in the signature's scope.
        regions: The regions that serve it, the default first; empty means that any region may.
        endpoints: What botocore's rule set answers for ``(region, use_fips, use_dualstack)``: a URL.
        shapes: Every shape by its name in the model.
        operations: Every operation by its name in the model.
        errors: Every modelled error by its code.
        query_compatible: Whether it once spoke the query protocol, and has that one's error codes.
        signing_regions: The region to sign for where it is another than the client's.
        own_endpoints: The endpoints that some operations have to themselves.
    """

    name: str
    service_id: str
    api_version: str
    content_type: str
    target_prefix: str
    signing_name: str
    regions: tuple[str, ...]
    endpoints: Mapping[EndpointKey, str]
    shapes: Mapping[str, Shape]
    operations: Mapping[str, Operation[Any, Any]]
    errors: Mapping[str, type[ServiceError]]
    query_compatible: bool = False
    signing_regions: Mapping[EndpointKey, str] = attrs.field(factory=dict)
    own_endpoints: Mapping[str, Endpoints] = attrs.field(factory=dict)
