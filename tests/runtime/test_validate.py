from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from aioecrpublic import ValidationError
from aioecrpublic._runtime.serde import Serde, SerdeError
from aioecrpublic._runtime.shapes import (
    AbsentList,
    Blob,
    Boolean,
    Document,
    ListOf,
    MapOf,
    Member,
    Number,
    Operation,
    Response,
    Shape,
    String,
    Structure,
    Timestamp,
)
from aioecrpublic._runtime.validate import problems
from aioecrpublic.types import ImageIdentifier, Tag
from tests.support.made_up import service

if TYPE_CHECKING:
    from aioecrpublic import ECRPublicClient
    from tests.support.wire import Wire

UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"


async def refused(client: ECRPublicClient, method: str, **arguments: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        await getattr(client, method)(**arguments)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{method}: ")
    return "; ".join(caught.value.problems)


async def test_the_path_leads_to_the_member(client: ECRPublicClient, wire: Wire) -> None:
    ids = [ImageIdentifier(image_tag="a" * length) for length in (1, 2, 3, 301)]
    with pytest.raises(ValidationError) as caught:
        await client.describe_images(repository_name="app", image_ids=ids)
    assert str(caught.value) == "describe_images: image_ids[3].image_tag is 301 characters long, at most 300"
    assert wire.requests == []


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("describe_images", {"repository_name": "a"}, "repository_name is 1 characters long, at least 2"),
        ("describe_images", {"repository_name": None}, "repository_name is required"),
        ("describe_images", {"repository_name": 7}, "repository_name is int, not a str"),
        ("describe_images", {"repository_name": "UPPER"}, "repository_name 'UPPER' does not match ("),
        ("describe_images", {"repository_name": "app", "max_results": 0}, "max_results is 0, at least 1"),
        (
            "describe_images",
            {"repository_name": "app", "max_results": 1001},
            "max_results is 1001, at most 1000",
        ),
        (
            "describe_images",
            {"repository_name": "app", "max_results": True},
            "max_results is bool, not an int",
        ),
        (
            "describe_images",
            {"repository_name": "app", "max_results": 1.0},
            "max_results is float, not an int",
        ),
        ("describe_images", {"repository_name": "app", "image_ids": "ab"}, "image_ids is str, not a list"),
        ("describe_images", {"repository_name": "app", "image_ids": []}, "image_ids has 0 items, at least 1"),
        (
            "describe_images",
            {"repository_name": "app", "image_ids": [ImageIdentifier()] * 101},
            "image_ids has 101 items, at most 100",
        ),
        (
            "describe_images",
            {"repository_name": "app", "image_ids": [{"imageTag": "a"}]},
            "image_ids[0] is dict, not ImageIdentifier",
        ),
        (
            "tag_resource",
            {"resource_arn": "arn:aws", "tags": [Tag(key="", value="v" * 257)]},
            "tags[0].key is 0 characters long, at least 1",
        ),
        ("delete_repository", {"repository_name": "app", "force": "yes"}, "force is str, not a bool"),
        (
            "upload_layer_part",
            {
                "repository_name": "app",
                "upload_id": UPLOAD,
                "part_first_byte": -1,
                "part_last_byte": 0,
                "layer_part_blob": "text",
            },
            "part_first_byte is -1, at least 0; layer_part_blob is str, not bytes",
        ),
        (
            "upload_layer_part",
            {
                "repository_name": "app",
                "upload_id": UPLOAD,
                "part_first_byte": 0,
                "part_last_byte": 0,
                "layer_part_blob": bytes(20_971_521),
            },
            "layer_part_blob is 20971521 bytes long, at most 20971520",
        ),
    ],
)
async def test_what_the_model_forbids_is_named(
    client: ECRPublicClient, wire: Wire, method: str, arguments: dict[str, Any], message: str
) -> None:
    assert message in await refused(client, method, **arguments)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("public.ecr.aws/alias/team/app:1", "is an image URI; the repository's name is 'team/app'"),
        ("https://public.ecr.aws/alias/app", "is an image URI; the repository's name is 'app'"),
        ("public.ecr.aws/alias/app@sha256:abc", "is an image URI; the repository's name is 'app'"),
        ("team/app:latest", "has a tag or digest; the repository's name is 'team/app'"),
        ("team/app@sha256:abc", "has a tag or digest; the repository's name is 'team/app'"),
    ],
)
async def test_an_image_uri_is_recognised(client: ECRPublicClient, name: str, message: str) -> None:
    assert (
        await refused(client, "create_repository", repository_name=name)
        == f"repository_name '{name}' {message}"
    )


async def test_every_problem_is_told_at_once(client: ECRPublicClient) -> None:
    message = await refused(client, "describe_images", repository_name="a", max_results=0)
    assert message.count(";") == 1


async def test_validation_can_be_turned_off(client: ECRPublicClient, wire: Wire) -> None:
    await client.with_options(validate=False).describe_images(repository_name="X", max_results=5000)
    assert wire.requests[0].json == {"repositoryName": "X", "maxResults": 5000}


async def test_without_validation_what_json_cannot_say_is_still_an_error(
    client: ECRPublicClient, wire: Wire
) -> None:
    fast = client.with_options(validate=False)
    with pytest.raises(ValidationError, match="DescribeImages cannot be serialised"):
        await fast.describe_images(repository_name="app", max_results=object())  # type: ignore[arg-type]
    assert wire.requests == []


@attrs.define(kw_only=True)
class Everything:
    flag: Any = None
    moment: Any = None
    number: Any = None
    blob: Any = None
    table: Any = None
    name: Any = None
    free: Any = None
    gaps: Any = None
    holes: Any = None
    either: Any = None


@attrs.define(kw_only=True)
class Either:
    number: Any = None
    names: Any = attrs.field(factory=AbsentList)


SHAPES: dict[str, Shape] = {
    "Everything": Structure(
        Everything,
        (
            Member("flag", "flag", "Flag"),
            Member("moment", "moment", "Moment"),
            Member("number", "number", "Number"),
            Member("blob", "blob", "Blob"),
            Member("table", "table", "Table"),
            Member("name", "name", "Name", required=True),
            Member("free", "free", "Free"),
            Member("gaps", "gaps", "Gaps"),
            Member("holes", "holes", "Holes"),
            Member("either", "either", "Either"),
        ),
    ),
    "Either": Structure(
        Either, (Member("number", "number", "Number"), Member("names", "names", "Names")), union=True
    ),
    "Free": Document(),
    "Gaps": ListOf("Name", min=1, sparse=True),
    "Holes": MapOf("Key", "Name", sparse=True),
    "Flag": Boolean(),
    "Moment": Timestamp(),
    "Number": Number(min=0.5, max=1.5, integer=False),
    "Blob": Blob(min=2),
    "Table": MapOf("Key", "Names", max=1),
    "Key": String(max=2),
    "Names": ListOf("Name", max=1),
    "Name": String(pattern="[a-z]+"),
}
OPERATION: Operation[Any, Any] = Operation(
    name="Do",
    method="do",
    request=Everything,
    response=Response,
    request_shape="Everything",
    response_shape="Everything",
)
SERVICE = service(shapes=SHAPES, operations={"Do": OPERATION})


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, ()),
        ({"flag": 1}, ("flag is int, not a bool",)),
        ({"moment": 1}, ("moment is int, not a datetime",)),
        ({"moment": dt.datetime(2026, 1, 1)}, ("moment has no time zone",)),  # noqa: DTZ001 - the mistake itself
        ({"moment": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, ()),
        ({"number": 1}, ()),
        ({"number": 0.1}, ("number is 0.1, at least 0.5",)),
        ({"number": "1"}, ("number is str, not a float",)),
        ({"blob": b"a"}, ("blob is 1 bytes long, at least 2",)),
        ({"blob": memoryview(b"abcd").cast("H")}, ()),
        ({"table": {"abc": ["a"]}}, ("table key 'abc' is 3 characters long, at most 2",)),
        ({"table": {"a": ["A"]}}, ("table['a'][0] 'A' does not match [a-z]+",)),
        ({"table": {"a": ["a", "b"]}}, ("table['a'] has 2 items, at most 1",)),
        ({"table": {"a": [], "b": []}}, ("table has 2 entries, at most 1",)),
        ({"table": []}, ("table is list, not a mapping",)),
        ({"name": "A" * 100}, (f"name '{'A' * 60}'… does not match [a-z]+",)),
        ({"name": None}, ("name is required",)),
        ({"gaps": ["a", None]}, ()),
        ({"gaps": []}, ("gaps has 0 items, at least 1",)),
        ({"gaps": AbsentList()}, ()),
        ({"gaps": AbsentList([None, "A"])}, ("gaps[1] 'A' does not match [a-z]+",)),
        ({"holes": {"a": None, "b": "A"}}, ("holes['b'] 'A' does not match [a-z]+",)),
        ({"table": {"a": [None]}}, ("table['a'][0] is NoneType, not a str",)),
        ({"table": {"a": None}}, ("table['a'] is NoneType, not a list",)),
        ({"either": Either(number=1)}, ()),
        ({"either": Either(names=["a"])}, ()),
        ({"either": Either(names=[])}, ()),
        ({"either": Either()}, ("either must have exactly one of number, names (got none)",)),
        (
            {"either": Either(number=1, names=["a"])},
            ("either must have exactly one of number, names (got number, names)",),
        ),
        ({"free": {"a": [1, 2.5, "x", True, None, {"b": ()}]}}, ()),
        ({"free": {"a": [b"x"]}}, ("free['a'][0] is bytes, not a value of JSON",)),
        ({"free": {1: "x"}}, ("free key 1 is int, not a str",)),
        ({"free": [math.nan]}, ("free[0] is nan, which JSON does not have",)),
    ],
)
def test_every_kind_of_shape_is_checked(members: dict[str, Any], found: tuple[str, ...]) -> None:
    request = Everything(**{"name": "a", **members})
    assert problems(SERVICE, OPERATION, request) == found


def test_what_is_nested_without_end_is_told() -> None:
    endless: list[Any] = []
    endless.append(endless)
    request = Everything(name="a", free=endless)
    assert problems(SERVICE, OPERATION, request) == ("the request is nested too deeply",)
    with pytest.raises(SerdeError, match="cannot be serialised"):
        Serde(SERVICE).encode_request(OPERATION, request)


def test_the_request_itself_is_checked() -> None:
    assert problems(SERVICE, OPERATION, 7) == ("the request is int, not Everything",)
