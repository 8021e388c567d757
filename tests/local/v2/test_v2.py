"""The registry API, request by request."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
from http.client import HTTPException
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic.local import Settings
from tests.local.rules.helpers import (
    OTHER,
    OTHER_ACCOUNT,
    Boto,
    Clock,
    boto,
    push_layer,
    push_small_image,
    running,
)
from tests.local.v2.helpers import MANIFEST, Registry, basic, image, logged_in
from tests.support.oci import digest_of, random_bytes
from tests.support.waiting import until_blocking

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic.local import LocalECRPublic

LAYER = random_bytes(100_000)


def test_without_a_token(registry: Registry) -> None:
    nobody = attrs.evolve(registry, authorization=None)
    for path in ("/v2/", "/v2", "manifests/1.0", "/v2/local/nope/tags/list"):
        reply = nobody.call("GET", path)
        assert (reply.status, reply.codes) == (401, ["UNAUTHORIZED"])
        realm = f'Bearer realm="{registry.url}/token/",service="public.ecr.aws",scope="aws"'
        assert reply.headers["WWW-Authenticate"] == realm


@pytest.mark.parametrize(
    "value", ["Bearer x", "Bearer é", "Basic x", "Negotiate x", "Bearer", "Bearer QVdTOng="]
)
def test_tokens_that_are_none(registry: Registry, value: str) -> None:
    spoilt = attrs.evolve(registry, authorization=value.encode().decode("latin-1"))
    assert spoilt.call("GET", "/v2/").status == 401
    assert spoilt.call("GET", "/token/").status == 401


def test_what_a_token_is(registry: Registry, token: str) -> None:
    password = base64.b64decode(token).decode().removeprefix("AWS:")
    assert registry.call("GET", "/v2/").status == 200
    assert attrs.evolve(registry, authorization=f"Bearer {password}").call("GET", "/v2/").status == 200
    login = attrs.evolve(registry, authorization=basic("AWS", password))
    bearer = json.loads(login.call("GET", "/token/?service=public.ecr.aws&scope=aws").body)["token"]
    pusher = attrs.evolve(registry, authorization=f"Bearer {bearer}")
    assert pusher.call("POST", "blobs/uploads/").status == 202
    assert attrs.evolve(registry, authorization=basic("me", password)).call("GET", "/token/").status == 401


def test_a_token_expires(registry: Registry, clock: Clock) -> None:
    clock.ahead = dt.timedelta(hours=12, minutes=1)
    reply = registry.call("GET", "/v2/")
    assert (reply.status, reply.codes) == (400, ["DENIED"])
    assert "WWW-Authenticate" not in reply.headers


def test_anybody_pulls_and_nobody_else_pushes(registry: Registry) -> None:
    digest, manifest = registry.push_image("1.0", LAYER)
    anybody = registry.as_anybody()
    assert anybody.call("GET", "manifests/1.0").body == manifest
    assert anybody.call("GET", f"blobs/{digest_of(LAYER)}").body == LAYER
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?mount={digest_of(LAYER)}&from=local/team/app"),
        ("POST", f"blobs/uploads/?digest={digest}"),
        ("PUT", "manifests/1.0"),
    ):
        assert anybody.call(method, path, b"x").status == 401, path


def test_another_account_pushes_what_the_policy_lets_it(
    server: LocalECRPublic, client: Boto, registry: Registry
) -> None:
    other = boto(server, credentials=OTHER)
    stranger = logged_in(server, other)
    reply = stranger.call("POST", "blobs/uploads/")
    assert (reply.status, reply.codes) == (403, ["DENIED"])
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr-public:*"}
    client.set_repository_policy(repositoryName="team/app", policyText=json.dumps({"Statement": [statement]}))
    stranger.push_image("1.0", LAYER)


def test_an_image_pushed_here_is_one_of_the_api(client: Boto, registry: Registry) -> None:
    digest, _ = registry.push_image("1.0", LAYER)
    (detail,) = client.describe_images(repositoryName="team/app")["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["1.0"])
    with pytest.raises(client.exceptions.LayerAlreadyExistsException):
        push_layer(client, "team/app", LAYER)


def test_an_image_pushed_by_the_api_is_pulled_here(client: Boto, registry: Registry) -> None:
    digest = push_small_image(client, "team/app", "1.0")
    for what in ("1.0", digest):
        reply = registry.call("GET", f"manifests/{what}")
        assert digest_of(reply.body) == reply.headers["Docker-Content-Digest"] == digest
        head = registry.call("HEAD", f"manifests/{what}")
        assert head.body == b""
        assert head.headers["Content-Length"] == str(len(reply.body))
        assert head.headers["Content-Type"] == MANIFEST
    manifest = registry.call("GET", "manifests/1.0").body
    layer = json.loads(manifest)["layers"][0]["digest"]
    assert registry.call("GET", f"blobs/{layer}").body == b"layer"


def test_manifests_in_media_types_that_are_accepted(registry: Registry) -> None:
    registry.push_image("1.0", LAYER)
    for accept in (MANIFEST, "*/*", f"text/html, {MANIFEST};q=0.5", "application/*"):
        assert registry.call("GET", "manifests/1.0", headers={"Accept": accept}).status == 200
    reply = registry.call("GET", "manifests/1.0", headers={"Accept": "text/html"})
    assert (reply.status, reply.codes) == (404, ["MANIFEST_UNKNOWN"])


def test_a_manifest_that_is_known_already(registry: Registry) -> None:
    registry.push_image("1.0", LAYER)
    etag = registry.call("GET", "manifests/1.0").headers["ETag"]
    assert registry.call("GET", "manifests/1.0", headers={"If-None-Match": etag}).status == 304


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [("bytes=0-9", 206, 0, 10), ("bytes=99990-", 206, 99_990, 100_000), ("bytes=-5", 206, 99_995, 100_000)],
)
def test_ranges(registry: Registry, wanted: str, status: int, first: int, last: int) -> None:
    digest = registry.push_blob(LAYER)
    reply = registry.call("GET", f"blobs/{digest}", headers={"Range": wanted})
    assert (reply.status, reply.body) == (status, LAYER[first:last])
    assert reply.headers["Content-Range"] == f"bytes {first}-{last - 1}/100000"


def test_a_range_behind_the_end(registry: Registry) -> None:
    digest = registry.push_blob(LAYER)
    reply = registry.call("GET", f"blobs/{digest}", headers={"Range": "bytes=100000-"})
    assert (reply.status, reply.headers["Content-Range"]) == (416, "bytes */100000")


def test_a_large_blob(registry: Registry) -> None:
    data = random_bytes(5 * 256 * 1024 + 3)
    digest = registry.push_blob(data)
    assert registry.call("GET", f"blobs/{digest}").body == data
    reply = registry.call("GET", f"blobs/{digest}", headers={"Range": "bytes=262143-1048577"})
    assert (reply.status, reply.body) == (206, data[262_143:1_048_578])


def test_a_blob_that_became_shorter_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as server:
        client = boto(server)
        client.create_repository(repositoryName="team/app")
        registry = logged_in(server, client)
        digest = registry.push_blob(LAYER)
        os.truncate(next(tmp_path.glob("blobs/*/*/*")), 50_000)
        with pytest.raises((ConnectionError, HTTPException)):
            registry.call("GET", f"blobs/{digest}")


def test_who_asks_for_a_layer_will_find_it_and_who_reads_it_has_it(clock: Clock) -> None:
    with running(clock=clock, settings=Settings(sweep_interval=0.05)) as server:
        client = boto(server)
        client.create_repository(repositoryName="team/app")
        registry = logged_in(server, client)
        asked, read = (registry.push_blob(data) for data in (b"asked for", b"read"))
        clock.ahead = dt.timedelta(hours=20)
        anybody = registry.as_anybody()
        assert anybody.call("HEAD", f"blobs/{asked}").status == 200
        assert anybody.call("GET", f"blobs/{read}").status == 200
        clock.ahead = dt.timedelta(hours=30)
        until_blocking(lambda: anybody.call("GET", f"blobs/{read}").status == 404)
        assert anybody.call("GET", f"blobs/{asked}").body == b"asked for"


def test_a_blob_in_chunks(registry: Registry) -> None:
    started = registry.call("POST", "blobs/uploads/")
    assert (started.status, started.headers["Range"]) == (202, "0-0")
    location = started.headers["Location"]
    for first in range(0, 100_000, 40_000):
        chunk = LAYER[first : first + 40_000]
        headers = {"Content-Range": f"{first}-{first + len(chunk) - 1}"}
        reply = registry.call("PATCH", location, chunk, headers)
        assert (reply.status, reply.headers["Range"]) == (202, f"0-{first + len(chunk) - 1}")
    wrong = registry.call("PATCH", location, b"x", {"Content-Range": "5-5"})
    assert (wrong.status, wrong.headers["Range"]) == (416, "0-99999")
    status = registry.call("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-99999")
    done = registry.call("PUT", f"{location}?digest={digest_of(LAYER)}")
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, digest_of(LAYER))
    assert registry.call("GET", done.headers["Location"]).body == LAYER
    assert registry.call("GET", location).codes == ["BLOB_UPLOAD_UNKNOWN"]


def test_a_blob_in_one_request(registry: Registry) -> None:
    reply = registry.call("POST", f"blobs/uploads/?digest={digest_of(LAYER)}", LAYER)
    assert reply.status == 201
    assert registry.call("HEAD", reply.headers["Location"]).headers["Content-Length"] == "100000"


def test_a_blob_with_another_digest(registry: Registry) -> None:
    location = registry.call("POST", "blobs/uploads/").headers["Location"]
    for digest in (digest_of(b"other"), "sha256:short", "", "sha512:" + "0" * 128):
        reply = registry.call("PUT", f"{location}?digest={digest}", LAYER)
        assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])
    assert registry.call("HEAD", f"blobs/{digest_of(LAYER)}").status == 404


def test_a_blob_without_bytes(registry: Registry) -> None:
    empty = digest_of(b"")
    location = registry.call("POST", "blobs/uploads/").headers["Location"]
    assert registry.call("PATCH", location, b"").status == 202
    for method, path in (("PUT", f"{location}?digest={empty}"), ("POST", f"blobs/uploads/?digest={empty}")):
        reply = registry.call(method, path, b"")
        assert (reply.status, reply.codes) == (400, ["BLOB_UPLOAD_INVALID"])
    assert registry.call("HEAD", f"blobs/{empty}").status == 404
    # The first of them can go on.
    assert registry.call("PUT", f"{location}?digest={digest_of(b'x')}", b"x").status == 201


def test_an_upload_that_is_cancelled(registry: Registry) -> None:
    location = registry.call("POST", "blobs/uploads/").headers["Location"]
    assert registry.call("DELETE", location).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert registry.call(method, location, b"x").status == 404


def test_uploads_expire() -> None:
    with running(settings=Settings(upload_lifetime=dt.timedelta())) as server:
        client = boto(server)
        client.create_repository(repositoryName="team/app")
        registry = logged_in(server, client)
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        for method in ("GET", "PATCH", "DELETE"):
            reply = registry.call(method, location, b"x")
            assert (reply.status, reply.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_an_upload_of_the_api_is_none_of_this_side(client: Boto, registry: Registry) -> None:
    upload = client.initiate_layer_upload(repositoryName="team/app")["uploadId"]
    assert registry.call("PATCH", f"blobs/uploads/{upload}", b"x").status == 404
    ours = registry.call("POST", "blobs/uploads/").headers["Docker-Upload-UUID"]
    with pytest.raises(client.exceptions.UploadNotFoundException):
        client.upload_layer_part(
            repositoryName="team/app", uploadId=ours, partFirstByte=0, partLastByte=0, layerPartBlob=b"x"
        )


def test_mounts(client: Boto, registry: Registry) -> None:
    digest = registry.push_blob(LAYER)
    client.create_repository(repositoryName="other")
    other = attrs.evolve(registry, repository="local/other")
    for path in (f"mount={digest_of(b'nothing')}&from=local/team/app", f"mount={digest}&from=nope"):
        assert other.call("POST", f"blobs/uploads/?{path}").status == 202
    reply = other.call("POST", f"blobs/uploads/?mount={digest}&from=local/team/app")
    assert (reply.status, reply.headers["Location"]) == (201, f"/v2/local/other/blobs/{digest}")
    assert other.call("GET", f"blobs/{digest}").body == LAYER


def test_manifests_that_cannot_be(registry: Registry) -> None:
    for body in (b"", b"{", b"[]", b'{"schemaVersion":1}', b"\xff", b"[" * 100_000):
        reply = registry.call("PUT", "manifests/1.0", body, {"Content-Type": MANIFEST})
        assert (reply.status, reply.codes) == (400, ["MANIFEST_INVALID"]), body
    reply = registry.call("PUT", "manifests/1.0", image(b"no", b"such"), {"Content-Type": MANIFEST})
    assert reply.codes == ["MANIFEST_BLOB_UNKNOWN"]
    _, manifest = registry.push_image("1.0", LAYER)
    reply = registry.call("PUT", f"manifests/{digest_of(b'x')}", manifest, {"Content-Type": MANIFEST})
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])
    reply = registry.call("PUT", "manifests/1.0", b" " * 4_194_305, {"Content-Type": MANIFEST})
    assert (reply.status, reply.codes) == (413, ["SIZE_INVALID"])


def test_tags_in_pages(registry: Registry) -> None:
    for tag in ("b", "a", "c"):
        registry.push_image(tag, LAYER)
    everything = registry.call("GET", "tags/list")
    assert json.loads(everything.body) == {"name": "local/team/app", "tags": ["a", "b", "c"]}
    assert "Link" not in everything.headers
    first = registry.call("GET", "tags/list?n=2")
    assert json.loads(first.body)["tags"] == ["a", "b"]
    link = first.headers["Link"]
    assert link == '</v2/local/team/app/tags/list?last=b&n=2>; rel="next"'
    rest = registry.call("GET", link[1 : link.index(">")])
    assert json.loads(rest.body)["tags"] == ["c"]
    assert "Link" not in rest.headers
    assert registry.call("GET", "tags/list?n=-1").codes == ["PAGINATION_NUMBER_INVALID"]


def test_referrers(registry: Registry) -> None:
    subject, manifest = registry.push_image("1.0", LAYER)
    about = {"mediaType": MANIFEST, "digest": subject, "size": len(manifest)}
    more = {"subject": about, "artifactType": "application/x.signature", "annotations": {"who": "me"}}
    config = b'{"architecture":"amd64","os":"linux"}'
    signature = image(config, LAYER, **more)
    reply = registry.call("PUT", f"manifests/{digest_of(signature)}", signature, {"Content-Type": MANIFEST})
    assert (reply.status, reply.headers["OCI-Subject"]) == (201, subject)
    found = registry.call("GET", f"referrers/{subject}")
    assert found.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    (descriptor,) = json.loads(found.body)["manifests"]
    assert descriptor == {
        "mediaType": MANIFEST,
        "digest": digest_of(signature),
        "size": len(signature),
        "artifactType": "application/x.signature",
        "annotations": {"who": "me"},
    }
    filtered = registry.call("GET", f"referrers/{subject}?artifactType=application/x.sbom")
    assert json.loads(filtered.body)["manifests"] == []
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert json.loads(registry.call("GET", f"referrers/{digest_of(b'x')}").body)["manifests"] == []


def test_what_is_not_there(registry: Registry) -> None:
    for path, code in (
        ("manifests/nope", "MANIFEST_UNKNOWN"),
        (f"manifests/{digest_of(b'x')}", "MANIFEST_UNKNOWN"),
        (f"blobs/{digest_of(b'x')}", "BLOB_UNKNOWN"),
        ("blobs/sha512:00", "BLOB_UNKNOWN"),
        ("/v2/local/nope/tags/list", "NAME_UNKNOWN"),
        ("/v2/local/nope/manifests/1.0", "NAME_UNKNOWN"),
        (f"/v2/local/nope/blobs/{digest_of(b'x')}", "NAME_UNKNOWN"),
        ("/v2/elsewhere/team/app/tags/list", "NAME_UNKNOWN"),
        ("/v2/local/tags/list", "NAME_UNKNOWN"),
        ("/v2/_catalog", "NAME_UNKNOWN"),
    ):
        reply = registry.call("GET", path)
        assert (reply.status, reply.codes) == (404, [code]), path


@pytest.mark.parametrize(
    "path",
    [
        "/v2/local/../../etc/manifests/1.0",
        "/v2/local/%2e%2e/%2e%2e/blobs/sha256:" + "0" * 64,
        "/v2/local/team/app/blobs/..%2f..%2fregistry.sqlite",
        "/v2/local/team/app/blobs/sha256:..%2f..%2fregistry.sqlite",
        "/v2/local/team/app/blobs/uploads/..%2f..%2flock",
        "/v2/local/TEAM/tags/list",
        "/v2/local/" + "a/" * 2000 + "tags/list",
        "/v2/local/a%00b/tags/list",
        "/v2/local/%ff/tags/list",
        "/logos/..%2f..%2fregistry.sqlite",
        "/logos/../registry.sqlite",
    ],
)
def test_hostile_paths(registry: Registry, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
        assert registry.call(method, path, b"" if method in {"GET", "HEAD"} else b"x").status in {404, 405}


def test_what_is_not_done(registry: Registry) -> None:
    digest, _ = registry.push_image("1.0", LAYER)
    for path in (f"manifests/{digest}", "manifests/1.0", f"blobs/{digest_of(LAYER)}"):
        reply = registry.call("DELETE", path)
        assert (reply.status, reply.codes) == (405, ["UNSUPPORTED"])
    assert registry.call("GET", "manifests/1.0").status == 200
