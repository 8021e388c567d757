"""Names that want to be paths: whatever they say, nothing outside of the registry's directory is touched."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.shapes import Structure
from tests.local.rules.helpers import (
    boto,
    digest_of,
    manifest_of,
    push_small_image,
    running,
    signed,
)
from tests.local.v2.helpers import logged_in
from tests.support.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from aioecrpublic.local import LocalECRPublic

HOSTILE: Final = [
    "..",
    "../../outside",
    "/etc/passwd",
    "team/app/../../../outside",
    "team//app",
    "..\\..\\outside",
    "%2e%2e/%2e%2e/outside",
    "a\0b",
    "outside\n",
    "é/../outside",
    "sha256:../../../outside",
    "sha256:" + "../" * 21 + "x",
    "sha256:" + "0" * 63 + "/",
    "00000000-0000-0000-0000-00000000000/",
    "../../../../../../../../../../../../",
    "arn:aws:ecr-public::123456789012:repository/../../outside",
    "a" * 5000,
    "",
]
# Every event by which Python tells that a path is used: https://docs.python.org/3/library/audit_events.html
_OF_PATHS: Final = ("open", "os.", "shutil.", "sqlite3.connect", "tempfile.")
_CODE: Final = tuple({str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, *sys.path) if path})


class Touched:
    """The paths that the registry's threads use while it watches."""

    def __init__(self, inside: Path) -> None:
        self.outside: set[str] = set()
        self.inside: set[str] = set()
        self._allowed = inside
        self._watching = False
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self) -> Generator[None, None, None]:
        self._watching = True
        try:
            yield
        finally:
            # A hook stays for ever; it hears nothing any more.
            self._watching = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._watching or not event.startswith(_OF_PATHS):
            return
        if threading.current_thread().name.startswith("aioecrpublic-local"):
            # The second of "open" is its mode; others may move one path to another.
            for path in arguments[: 1 if event == "open" else 2]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self._note(os.path.realpath(os.fsdecode(path)))

    def _note(self, path: str) -> None:
        if Path(path).is_relative_to(self._allowed):
            self.inside.add(path)
        elif not path.startswith(_CODE):
            self.outside.add(path)


def members(operation: str, valid: dict[str, Any]) -> dict[str, Any]:
    """A request of an operation whose members are all as they should be."""
    shape = SERVICE.shapes[SERVICE.operations[operation].request_shape]
    assert isinstance(shape, Structure)
    return {member.wire: valid[member.wire] for member in shape.members if member.wire in valid}


def spoilt(value: Any, evil: str) -> Any:
    """The same with every text in it replaced."""
    if isinstance(value, str):
        return evil
    if isinstance(value, list):
        return [spoilt(item, evil) for item in value]
    if isinstance(value, dict):
        return {key: spoilt(item, evil) for key, item in value.items()}
    return value


def hostile_messages(valid: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every operation with every text of its request being hostile, one at a time."""
    for operation in SERVICE.operations:
        message = members(operation, valid)
        for name, value in message.items():
            for evil in HOSTILE:
                changed = spoilt(value, evil)
                if changed != value:
                    yield operation, json.dumps(message | {name: changed}).encode()


def hostile_paths(digest: str) -> Iterator[tuple[str, str]]:
    """Every request of the registry API, hostile in one place."""
    here = "/v2/local/team/app"
    for evil in HOSTILE:
        for text in {
            quote(evil),
            quote(evil, safe=""),
            evil if evil.isascii() and evil.isprintable() else "x",
        }:
            yield from (
                ("GET", f"/v2/{text}/manifests/1.0"),
                ("GET", f"/v2/local/{text}/manifests/1.0"),
                ("PUT", f"/v2/local/{text}/manifests/1.0"),
                ("POST", f"/v2/local/{text}/blobs/uploads/"),
                ("GET", f"{here}/manifests/{text}"),
                ("PUT", f"{here}/manifests/{text}"),
                ("GET", f"{here}/blobs/{text}"),
                ("GET", f"{here}/referrers/{text}"),
                ("GET", f"{here}/blobs/uploads/{text}"),
                ("PATCH", f"{here}/blobs/uploads/{text}"),
                ("PUT", f"{here}/blobs/uploads/{text}?digest={digest}"),
                ("DELETE", f"{here}/blobs/uploads/{text}"),
                ("POST", f"{here}/blobs/uploads/?digest={text}"),
                ("POST", f"{here}/blobs/uploads/?mount={text}&from=local/team/app"),
                ("POST", f"{here}/blobs/uploads/?mount={digest}&from={text}"),
                ("GET", f"{here}/tags/list?n=1&last={text}"),
                ("GET", f"/logos/{text}"),
            )


@pytest.fixture
def everything_else(tmp_path: Path) -> Iterator[Path]:
    """A directory for the registry, beside files that must be as they were at the end."""
    for name in ("outside", "x", "passwd"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "data").mkdir()
    yield tmp_path / "data"
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "x", "passwd", "data"}
    assert {(tmp_path / name).read_text() for name in ("outside", "x", "passwd")} == {"mine"}


def test_nothing_outside_of_its_directory_is_touched(everything_else: Path) -> None:
    touched = Touched(everything_else)
    with running(data_dir=everything_else) as server:
        valid = prepared(server)
        registry = logged_in(server, boto(server))
        with touched.watching():
            for operation, body in hostile_messages(valid):
                reply = exchange(server.endpoint_url, "POST", "/", signed(server, operation, body), body)
                assert reply.status in {200, 400}, (operation, body, reply)
            for method, path in hostile_paths(valid["layerDigests"][0]):
                status = registry.call(method, path, None if method == "GET" else b"x").status
                assert status < 500, (method, path, status)
            # It does hear what is used.
            registry.push_blob(b"something new")
    assert touched.outside == set()
    assert touched.inside


def prepared(server: LocalECRPublic) -> dict[str, Any]:
    """A repository with an image, and what a valid request of each operation would say."""
    client = boto(server)
    client.create_repository(repositoryName="team/app")
    digest = push_small_image(client, "team/app", "1.0")
    upload = client.initiate_layer_upload(repositoryName="team/app")["uploadId"]
    return {
        "repositoryName": "team/app",
        "repositoryNames": ["team/app"],
        "registryId": "123456789012",
        "uploadId": upload,
        "layerDigests": [digest_of(b"layer")],
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": "eA==",
        "imageIds": [{"imageDigest": digest}],
        "imageManifest": manifest_of(b"{}", b"layer", extra=1),
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        "imageTag": "1.0",
        "imageDigest": digest,
        "resourceArn": "arn:aws:ecr-public::123456789012:repository/team/app",
        "tags": [{"Key": "a", "Value": "b"}],
        "tagKeys": ["a"],
        "policyText": "{}",
        "displayName": "x",
        "nextToken": "x",
        "catalogData": {"description": "x", "logoImageBlob": "eA==", "architectures": ["x"]},
    }
