"""One table of configurations, held to skopeo and docker: which credentials each of them sends.

Where the two differ from what is done here, it stands beside it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from aiohttp import web

from aioecrpublic.images import ImageError, RegistryImage
from tests.support.tools import require
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.interop

MANIFEST: Final = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": "sha256:" + "0" * 64,
        "size": 2,
    },
    "layers": [],
}
SAME: Final = "as here"
HELPERS: Final = {
    "good": 'echo \'{"ServerURL": "x", "Username": "helper", "Secret": "word"}\'',
    "lower": 'echo \'{"username": "helper", "secret": "word"}\'',
    "none": "echo credentials not found in native keychain; exit 1",
    "fails": "echo not now; exit 1",
}


STORE: Final = {"credsStore": "good"}


def auth(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def entry(name: str = "a") -> dict[str, object]:
    return {"auth": auth(f"{name}:b")}


@attrs.frozen
class Row:
    """A configuration, `HOST` in it being the registry, and the `USER:PASSWORD` that each sends for it."""

    name: str
    document: object
    sent: str | None = "a:b"
    skopeo: str | None = SAME
    docker: str | None = SAME

    def content(self, host: str) -> bytes:
        text = self.document if isinstance(self.document, str) else json.dumps(self.document)
        return text.replace("HOST", host).encode("utf-8", "surrogateescape")


def keyed(key: str, **other: str | None) -> Row:
    return Row(f"key {key}", {"auths": {key: entry()}}, **other)


TABLE: Final = [
    keyed("HOST"),
    keyed("https://HOST"),
    keyed("http://HOST"),
    keyed("https://HOST/v1/"),
    keyed("http://HOST/some/path"),
    keyed("HOST/team", docker="a:b"),
    keyed("HOST/team/app", docker="a:b"),
    # Docker knows no namespaces: any path is the whole registry's.
    keyed("HOST/other", sent=None, docker="a:b"),
    keyed("HOST/team/ap", sent=None, docker="a:b"),
    keyed("HOST/", skopeo=None),
    keyed("HOST/v2/", skopeo=None),
    keyed("ftp://HOST/", skopeo=None),
    keyed("HTTPS://HOST", skopeo=None),
    keyed("https://someone@HOST/", skopeo=None),
    keyed("https://HOST?query", skopeo=None),
    keyed("//HOST", sent=None),
    keyed("127.0.0.1", sent=None),
    keyed("https://127.0.0.1", sent=None),
    keyed("HOST?query", sent=None),
    keyed(" HOST", sent=None),
    Row("the host before an address", {"auths": {"https://HOST": entry("url"), "HOST": entry()}}),
    Row(
        "the longest namespace",
        {"auths": {"HOST": entry("host"), "HOST/team": entry("team"), "HOST/team/app": entry()}},
        docker="host:b",
    ),
    Row("an empty namespace", {"auths": {"HOST": entry(), "HOST/team": {}}}, None, docker="a:b"),
    Row("an empty host", {"auths": {"HOST": {}, "https://HOST": entry()}}, None),
    Row("user and password", {"auths": {"HOST": {"username": "a", "password": "b"}}}, skopeo=None),
    Row("auth before them", {"auths": {"HOST": {"username": "x", "password": "y", **entry()}}}),
    Row("beside a token", {"auths": {"HOST": {**entry(), "identitytoken": "token"}}}),
    Row("line breaks", {"auths": {"HOST": {"auth": "YTpi\r\nYmI=\n"}}}, "a:bbb"),
    Row("no padding", {"auths": {"HOST": {"auth": "YTpiYmI"}}}, "a:bbb", None, None),
    Row("a space", {"auths": {"HOST": {"auth": "YTpi YmI="}}}, None),
    Row("URL-safe base64", {"auths": {"HOST": {"auth": "YTr__w=="}}}, None),
    Row("null characters", {"auths": {"HOST": {"auth": auth("a:b\0\0")}}}),
    Row("bytes", {"auths": {"HOST": {"auth": auth(b"a:\xff")}}}, "a:\udcff"),
    Row("colons", {"auths": {"HOST": {"auth": auth("a:b:c")}}}, "a:b:c"),
    Row("no colon", {"auths": {"HOST": {"auth": auth("abc")}}}, None),
    # Docker takes such a password for none at all.
    Row("no password", {"auths": {"HOST": {"auth": auth("a:")}}}, "a:", docker=None),
    Row("no user", {"auths": {"HOST": {"auth": auth(":b")}}}, ":b", docker=None),
    Row("another entry that is wrong", {"auths": {"x": {"auth": "!"}, "HOST": entry()}}, docker=None),
    Row("members of any kind", {"auths": {"HOST": entry()}, "x": [{}], "y": 5, "z": None}),
    Row("null", {"auths": None, "credHelpers": None}, None),
    Row("null for an entry", {"auths": {"HOST": None}}, None),
    Row("null for texts", {"auths": {"HOST": {"auth": None, "username": None}}}, None),
    Row("an entry that is text", {"auths": {"HOST": "x"}}, None),
    Row("upper case", {"AUTHS": {"HOST": {"Auth": auth("a:b")}}}),
    Row("twice", '{"auths": {"HOST": {"auth": "eDp5"}}, "auths": {"HOST": {"auth": "YTpi"}}}'),
    Row("twice, added up", '{"auths": {"HOST": {"auth": "YTpi"}}, "auths": {"x": {}}}'),
    Row("twice in an entry", '{"auths": {"HOST": {"auth": "eDp5", "auth": "YTpi"}}}'),
    Row("then null", '{"auths": {"HOST": {"auth": "YTpi"}}, "auths": null}', None),
    Row("nothing", "", None),
    Row("white space", " \n", None),
    Row("only null", "null", None),
    Row("a list", "[]", None),
    Row("not a value of JSON", '{"x": NaN, "auths": {"HOST": {"auth": "YTpi"}}}', None),
    Row("a large number", '{"x": 1e999, "auths": {"HOST": {"auth": "YTpi"}}}'),
    Row("a byte that is not UTF-8", '{"x": "\udcff", "auths": {"HOST": {"auth": "YTpi"}}}'),
    Row("something after it", '{"auths": {"HOST": {"auth": "YTpi"}}}}', skopeo=None),
    # A byte order mark stands for nothing; Go does not know it.
    Row("a byte order mark", '\ufeff{"auths": {"HOST": {"auth": "YTpi"}}}', skopeo=None, docker=None),
    Row("a helper", {"credHelpers": {"HOST": "good"}, "auths": {"HOST": entry()}}, "helper:word"),
    Row("a helper that writes small", {"credHelpers": {"HOST": "lower"}}, "helper:word"),
    Row("before a namespace", {"credHelpers": {"HOST": "good"}, "auths": {"HOST/team": {}}}, "helper:word"),
    Row("a helper before a store", {**STORE, "credHelpers": {"HOST": "none"}}, None),
    Row("a helper without", {"credHelpers": {"HOST": "none"}, "auths": {"HOST": entry()}}, None),
    # Docker then sends what is in the file, skopeo does nothing any more.
    Row("a failure", {"credHelpers": {"HOST": "fails"}, "auths": {"HOST": entry()}}, None, docker="a:b"),
    Row("a missing helper", {"credHelpers": {"HOST": "x"}, "auths": {"HOST": entry()}}, None, docker="a:b"),
    Row("no helper", {**STORE, "credHelpers": {"HOST": ""}, "auths": {"HOST": entry()}}, skopeo=None),
    Row("a helper of an address", {"credHelpers": {"https://HOST": "good"}, "auths": {"HOST": entry()}}),
    # Skopeo knows no store; docker does not look into the file if the store has none.
    Row("a store", {**STORE, "auths": {"HOST": entry()}}, "helper:word", "a:b"),
    Row("a store without", {"credsStore": "none", "auths": {"HOST": entry()}}, docker=None),
    Row("a store that fails", {"credsStore": "fails", "auths": {"HOST": entry()}}),
]  # fmt: skip


class Registry:
    """A registry that asks for a password, takes any, and remembers which."""

    def __init__(self) -> None:
        self.host = ""
        self.sent: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        given = request.headers.get("Authorization", "")
        if not given.startswith("Basic "):
            return web.json_response(
                {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]},
                status=401,
                headers={"WWW-Authenticate": 'Basic realm="test"'},
            )
        decoded = base64.b64decode(given.removeprefix("Basic "))
        self.sent.add(decoded.decode("utf-8", "surrogateescape"))
        if request.path == "/v2/":
            return web.json_response({})
        return web.Response(text=json.dumps(MANIFEST), content_type=str(MANIFEST["mediaType"]))

    def said(self) -> str | None:
        """Return what was sent since the last question; skopeo sends ":" if it has nothing to send."""
        sent, self.sent = self.sent - {":"}, set()
        assert len(sent) <= 1
        return sent.pop() if sent else None


@pytest.fixture
async def registry() -> AsyncGenerator[Registry]:
    registry = Registry()
    async with serving(registry.answer) as host:
        registry.host = host
        yield registry


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return an environment with the helpers, and make it this process's own, too."""
    for name, script in HELPERS.items():
        path = tmp_path / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
    found = {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "DOCKER_CONFIG": str(tmp_path),
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    for name in ("REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_AUTH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return found


async def run(variables: dict[str, str], program: str, *arguments: str) -> None:
    """Run a program that reads an image; whether it likes the image is no matter."""
    process = await asyncio.create_subprocess_exec(
        require(program), *arguments, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await asyncio.wait_for(process.wait(), 60)


async def read_by_us(registry: Registry) -> str | None:
    with suppress(ImageError):
        async with RegistryImage(f"{registry.host}/team/app:1", max_attempts=1):
            pass
    return registry.said()


async def read_by_skopeo(registry: Registry, variables: dict[str, str]) -> str | None:
    image = f"docker://{registry.host}/team/app:1"
    await run(variables, "skopeo", "inspect", "--raw", "--tls-verify=false", image)
    return registry.said()


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
async def test_the_credentials_that_are_sent(
    row: Row, registry: Registry, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes(row.content(registry.host))
    assert await read_by_us(registry) == row.sent
    expected = row.sent if row.skopeo == SAME else row.skopeo
    assert await read_by_skopeo(registry, variables) == expected


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
async def test_the_credentials_that_docker_sends(
    row: Row, registry: Registry, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes(row.content(registry.host))
    await run(variables, "docker", "manifest", "inspect", "--insecure", f"{registry.host}/team/app:1")
    assert registry.said() == (row.sent if row.docker == SAME else row.docker)


async def test_the_order_of_files(
    registry: Registry, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del variables["DOCKER_CONFIG"]
    monkeypatch.delenv("DOCKER_CONFIG")
    places = [
        "home/.docker/config.json",
        "home/.config/containers/auth.json",
        "containers/auth.json",
        "named.json",
    ]
    for place in places:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": {registry.host: entry(path.parent.name)}}))
        if place == "named.json":
            variables["REGISTRY_AUTH_FILE"] = str(path)
            monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
        assert await read_by_us(registry) == f"{path.parent.name}:b"
        assert await read_by_skopeo(registry, variables) == f"{path.parent.name}:b"
