"""botocore's cases of the JSON protocols, through generated clients: requests, and what replies become."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from aioecrpublic import ECRPublicError, ServiceError
from aioecrpublic._runtime.shapes import Blob, Number, Timestamp
from tests.support import oracle
from tests.support.botocore_source import cases
from tests.support.generated import generate, model
from tests.support.recording import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aioecrpublic._runtime.shapes import Shape
    from tests.support.generated import Generated
    from tests.support.recording import Sent

TOKEN = "00000000-0000-4000-8000-000000000000"
FILES = ("json.json", "json_1_0.json", "json_1_0-query-compatible.json", "legacy json.json")
# What differs, and why; a case that does not differ any more fails the test.
DIFFERENT: Mapping[str, Mapping[str, str]] = {
    "input": {},
    "output": {
        "RPC JSON Event Stream 0": "operations that stream events are left out, and said to be",
        "Lists 1": "nulls are left out of lists that are not sparse, as Smithy's typed clients do; "
        "besides, an object where the model has a string is refused",
    },
}
# What is added on the way to the wire; tests of the transport look at it.
ADDED = frozenset({"Content-Length"})


def suites(direction: str, file: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Each suite with each of its cases and a name for it."""
    legacy = ("legacy",) if file.startswith("legacy ") else ()
    name = file.removeprefix("legacy ")
    for suite in cases("unit", "protocols", *legacy, direction, name):
        for number, case in enumerate(suite["cases"]):
            yield suite, case, case.get("id") or f"{suite['description']} {number}"


def left_out(direction: str, file: str) -> set[str]:
    """The names of the cases of a file that are known to differ."""
    return set(DIFFERENT[direction]) & {name for *_, name in suites(direction, file)}


def test_every_case_that_differs_is_one_of_botocores() -> None:
    for direction, known in DIFFERENT.items():
        assert known.keys() == {name for file in FILES for name in left_out(direction, file)}


class Packages:
    """A package for each operation of the suites."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = patch
        self._made: dict[str, Generated] = {}

    def package(self, suite: dict[str, Any], case: dict[str, Any]) -> Generated:
        given = {"http": {"method": "POST", "requestUri": "/"}, **case["given"]}
        raw = model({given["name"]: given}, suite["shapes"], **suite["metadata"])
        key = json.dumps(raw, sort_keys=True)
        if key not in self._made:
            folder = self._folder / str(len(self._made))
            folder.mkdir()
            self._made[key] = generate(folder, self._patch, raw)
        return self._made[key]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    return Packages(tmp_path, monkeypatch)


# What is sent


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", FILES)
async def test_requests_are_botocores(packages: Packages, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(TOKEN))
    different = {}
    for suite, case, name in suites("input", file):
        package = packages.package(suite, case)
        endpoint = suite.get("clientEndpoint", "https://example.com")
        client, wire = await package.client(endpoint, credentials=CREDENTIALS)
        (operation,) = package.service.operations.values()
        request = package.instance(operation.request_shape, case["params"], ours)
        await client.send(request)
        await client.close()
        if difference := request_difference(wire.sent[0], case["serialized"]):
            different[name] = difference
    assert different.keys() == left_out("input", file), different


def ours(shape: Shape, value: Any) -> Any:
    """A scalar of the cases as this package takes it."""
    match shape:
        case Timestamp():
            return oracle.utils.parse_timestamp(value).astimezone(dt.UTC)
        case Blob():
            return value.encode()
        case Number() if isinstance(value, str):
            return float(value)
        case _:
            return value


def request_difference(sent: Sent, expected: dict[str, Any]) -> str:
    """How a request differs from the one that a case expects."""
    url = urlsplit(sent.url)
    host, _, path = expected.get("host", url.netloc).partition("/")
    if (url.netloc, url.path) != (host, f"/{path}/" if path else expected["uri"]):
        return f"{sent.url} instead of {host} and {expected['uri']}"
    for name, value in expected.get("headers", {}).items():
        if sent.headers.get(name) != value:
            return f"{name}: {sent.headers.get(name)} instead of {value}"
    if missing := set(expected.get("requireHeaders", ())) - set(sent.headers) - ADDED:
        return f"no {missing}"
    if "body" in expected and sent.json != json.loads(expected["body"]):
        return f"{sent.body!r} instead of {expected['body']}"
    return ""


# What is made of a reply


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", FILES)
async def test_replies_are_read_as_botocore_reads_them(packages: Packages, file: str) -> None:
    different = {}
    for suite, case, name in suites("output", file):
        package = packages.package(suite, case)
        if package.notices:
            different[name] = f"{package.notices}"
            continue
        client, wire = await package.client(credentials=CREDENTIALS, max_attempts=1)
        (operation,) = package.service.operations.values()
        reply = case["response"]
        wire.status, wire.headers = reply.get("status_code", 200), reply.get("headers", {})
        wire.data = reply.get("body", "").encode()
        expected = without_empty(case.get("result", {}))
        if "error" in case:
            known = {"code": case["errorCode"], "message": case.get("errorMessage", "")}
            expected = {**known, **without_empty(case["error"])}
        found: Any
        try:
            answer = await client.send(operation.request())
            found = package.plain(operation.response_shape, answer, theirs)
        except ServiceError as error:
            found = {"code": error.code, "message": error.message, **error_members(package, error)}
        except ECRPublicError as error:
            found = error
        await client.close()
        if found != expected:
            different[name] = f"{found} instead of {expected}"
    assert different.keys() == left_out("output", file), different


def theirs(shape: Shape, value: Any) -> Any:
    """A scalar of this package as the cases have it."""
    match shape:
        case Timestamp():
            return value.timestamp()
        case Blob():
            return value.decode()
        case Number() if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        case _:
            return value


def error_members(package: Generated, error: ServiceError) -> dict[str, Any]:
    shape = type(error).__name__
    found = package.plain(shape, error, theirs) if shape in package.service.shapes else {}
    return {name: inner for name, inner in found.items() if inner}


def without_empty(value: Any) -> Any:
    """The same without empty lists and maps, which are as good as absent in a reply."""
    if isinstance(value, dict):
        found = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner not in ([], {})}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value
