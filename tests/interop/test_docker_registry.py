"""The same requests to the local registry and to Debian's docker-registry: what they answer, side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic
from tests.local.rules.helpers import boto
from tests.local.v2.helpers import MANIFEST, Registry, image, logged_in
from tests.support.docker_registry import docker_registry
from tests.support.oci import digest_of, random_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.exchange import Reply

pytestmark = pytest.mark.interop
LAYER = random_bytes(50_000)
CONFIG = b'{"architecture":"amd64","os":"linux"}'
# What a client goes by; the rest is of the server's own taste.
COMPARED = (
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "Range",
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with docker_registry(tmp_path_factory.mktemp("docker-registry"), delete=False) as host:
        yield Registry(f"http://{host}", "local/team/app")


@pytest.fixture(scope="module")
def ours() -> Iterator[Registry]:
    with BackgroundECRPublic(LocalECRPublic()) as background:
        client = boto(background.registry)
        client.create_repository(repositoryName="team/app")
        client.create_repository(repositoryName="other")
        yield logged_in(background.registry, client)


def seen(reply: Reply, method: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What is compared of a reply: errors by their codes, the rest as it is."""
    found: dict[str, Any] = {"status": reply.status}
    error = reply.status >= 400
    for name in names:
        value = reply.headers[name]
        if value is not None and not (error and name.startswith("Content-")):
            found[name] = value.replace("; charset=utf-8", "")
    if error and method != "HEAD":
        found["codes"] = reply.codes
    elif not error:
        found["body"] = reply.body
    return found


def same(ours: Registry, reference: Registry, method: str, path: str, *more: Any) -> Reply:
    """Both answer the same; our reply."""
    own, other = (registry.call(method, path, *more) for registry in (ours, reference))
    assert seen(own, method, COMPARED) == seen(other, method, COMPARED), (method, path)
    return own


def push_to_both(ours: Registry, reference: Registry) -> str:
    return {registry.push_image("1.0", LAYER)[0] for registry in (ours, reference)}.pop()


def test_pulls(ours: Registry, reference: Registry) -> None:
    digest = push_to_both(ours, reference)
    accept = {"Accept": MANIFEST}
    for method in ("GET", "HEAD"):
        same(ours, reference, method, "/v2/")
        for what in ("1.0", digest):
            same(ours, reference, method, f"manifests/{what}", None, accept)
        for what in ("nope", digest_of(b"x")):
            same(ours, reference, method, f"manifests/{what}", None, accept)
        for what in (digest_of(LAYER), digest_of(CONFIG), digest_of(b"x")):
            same(ours, reference, method, f"blobs/{what}")
    etag = {"If-None-Match": f'"{digest}"', **accept}
    assert same(ours, reference, "GET", "manifests/1.0", None, etag).status == 304
    same(ours, reference, "GET", "tags/list")
    same(ours, reference, "GET", "/v2/local/nope/tags/list")


# None behind the end: there docker-registry promises more bytes than it sends.
@pytest.mark.parametrize(
    "wanted",
    ["bytes=0-", "bytes=0-0", "bytes=10-19", "bytes=-7", "bytes=49999-", "bytes=0-49999", "bytes=0-99999",
     "bytes=-99999"],
)  # fmt: skip
def test_ranges(ours: Registry, reference: Registry, wanted: str) -> None:
    for registry in (ours, reference):
        registry.push_blob(LAYER)
    same(ours, reference, "GET", f"blobs/{digest_of(LAYER)}", None, {"Range": wanted})


def each(ours: Registry, reference: Registry, steps: Any) -> None:
    """The same dialogue with both, in which the location of an upload is a different one."""
    spoken = []
    for registry in (ours, reference):
        replies = []
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        for method, query, body, headers in steps:
            mark = "&" if "?" in location else "?"
            reply = registry.call(method, f"{location}{mark}{query}" if query else location, body, headers)
            replies.append(seen(reply, method, ("Docker-Content-Digest", "Range")))
            if reply.status == 202:
                location = reply.headers["Location"]
        spoken.append(replies)
    assert spoken[0] == spoken[1]


def test_uploads(ours: Registry, reference: Registry) -> None:
    digest = f"digest={digest_of(LAYER)}"
    each(ours, reference, [("PUT", digest, LAYER, {})])
    each(ours, reference, [
        ("PATCH", "", LAYER[:20_000], {}),
        ("GET", "", None, {}),
        ("PATCH", "", LAYER[20_000:], {}),
        ("PUT", digest, None, {}),
        ("GET", "", None, {}),
    ])  # fmt: skip
    each(ours, reference, [("PATCH", "", LAYER[:20_000], {}), ("PUT", digest, LAYER[20_000:], {})])
    each(ours, reference, [("PUT", f"digest={digest_of(b'x')}", LAYER, {})])
    each(ours, reference, [("PUT", "digest=sha256:short", LAYER, {})])
    each(ours, reference, [("PUT", "", LAYER, {})])
    each(ours, reference, [("DELETE", "", None, {}), ("GET", "", None, {}), ("PUT", digest, LAYER, {})])


def test_mounts(ours: Registry, reference: Registry) -> None:
    for registry in (ours, reference):
        registry.push_blob(LAYER)
    query = f"mount={digest_of(LAYER)}&from=local/team/app"
    reply = same(ours, reference, "POST", f"/v2/local/other/blobs/uploads/?{query}")
    assert reply.status == 201
    location = re.escape(f"/v2/local/other/blobs/{digest_of(LAYER)}")
    for registry in (ours, reference):
        found = registry.call("POST", f"/v2/local/other/blobs/uploads/?{query}").headers["Location"]
        assert re.fullmatch(rf"(http://[^/]+)?{location}", found)
    same(ours, reference, "GET", f"/v2/local/other/blobs/{digest_of(LAYER)}")
    unknown = f"mount={digest_of(b'x')}&from=local/team/app"
    assert same(ours, reference, "POST", f"/v2/local/other/blobs/uploads/?{unknown}").status == 202


def test_manifests(ours: Registry, reference: Registry) -> None:
    for registry in (ours, reference):
        for data in (CONFIG, LAYER):
            registry.push_blob(data)
    kind = {"Content-Type": MANIFEST}
    manifest = image(CONFIG, LAYER)
    for what in ("a", "b", digest_of(manifest), "a"):
        assert same(ours, reference, "PUT", f"manifests/{what}", manifest, kind).status == 201
    same(ours, reference, "PUT", f"manifests/{digest_of(b'x')}", manifest, kind)
    for body in (b"", b"{", b"[]"):
        same(ours, reference, "PUT", "manifests/c", body, kind)
    absent = image(CONFIG, b"absent")
    own, other = (registry.call("PUT", "manifests/c", absent, kind) for registry in (ours, reference))
    assert own.status == other.status
    # docker-registry names each blob in an error of its own and adds that the manifest is not verified.
    assert own.codes[0] in other.codes


def test_what_cannot_be_deleted(ours: Registry, reference: Registry) -> None:
    digest = push_to_both(ours, reference)
    for path in (f"manifests/{digest}", f"blobs/{digest_of(LAYER)}"):
        assert same(ours, reference, "DELETE", path).status == 405
