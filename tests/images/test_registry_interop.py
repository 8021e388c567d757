"""Images pushed by skopeo to Debian's docker-registry, read here."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web

from aioecrpublic.images import ImageError, RegistryCredentials, RegistryImage, load_image, open_image
from tests.images.helpers import assert_holds, content, read_blob
from tests.support.docker_registry import PASSWORD, USERNAME, TokenIssuer, docker_registry
from tests.support.oci import DOCKER_LIST, DOCKER_MANIFEST, digest_of, write_image, write_index
from tests.support.tools import skopeo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from tests.support.oci import BuiltImage

pytestmark = pytest.mark.interop


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return write_index(tmp_path / "layout", layer_size=100_000, real_layers=True)


def push(image: BuiltImage, target: str, *options: str) -> None:
    skopeo(
        "copy",
        "--all",
        "--dest-tls-verify=false",
        *options,
        f"oci:{image.directory}:1.0",
        f"docker://{target}",
    )


async def test_an_index_by_tag_and_by_digest(image: BuiltImage, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as host:
        push(image, f"{host}/team/app:1.0")
        for reference in (f"docker://{host}/team/app:1.0", f"docker://{host}/team/app@{image.digest}"):
            async with open_image(reference) as source:
                await assert_holds(source, image)
        async with RegistryImage(f"{host}/team/app:1.0") as source:
            graph = await load_image(source, platforms=["linux/arm64"])
            assert graph.root.descriptor.digest == image.manifests[1]
            assert await source.referrers(image.digest) == ()
            assert await source.cosign_tags(image.digest) == {}
        with pytest.raises(ImageError, match="no such image"):
            await RegistryImage(f"{host}/team/app:2.0").open()


async def test_a_docker_image(image: BuiltImage, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as host:
        push(image, f"{host}/team/app:1.0", "--format=v2s2")
        async with RegistryImage(f"{host}/team/app:1.0") as source:
            graph = await load_image(source)
            assert {node.descriptor.media_type for node in graph.manifests} == {DOCKER_LIST, DOCKER_MANIFEST}
            for blob in graph.blobs:
                assert digest_of(await read_blob(source, blob)) == blob.digest
        raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{host}/team/app:1.0")
    assert graph.root.raw.decode() == raw


async def test_basic_authentication(
    image: BuiltImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with docker_registry(tmp_path / "registry", htpasswd=True) as host:
        push(image, f"{host}/team/app:1.0", f"--dest-creds={USERNAME}:{PASSWORD}")
        reference = f"docker://{host}/team/app:1.0"
        credentials = RegistryCredentials(username=USERNAME, password=PASSWORD)
        async with RegistryImage(reference, credentials=credentials) as source:
            await assert_holds(source, image)
        with pytest.raises(ImageError, match="there are none"):
            await RegistryImage(reference).open()
        with pytest.raises(ImageError, match="401 Unauthorized: authentication required"):
            await RegistryImage(
                reference, credentials=RegistryCredentials(username=USERNAME, password="wrong")
            ).open()
        auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        async with open_image(reference) as source:
            await assert_holds(source, image)
        with pytest.raises(ImageError, match="there are none"):
            await RegistryImage(reference, anonymous=True).open()


async def test_token_authentication(image: BuiltImage, tmp_path: Path) -> None:
    """The registry verifies the tokens for real; the service that issues them is the test's own."""
    issuer = TokenIssuer.make(tmp_path)
    asked: list[tuple[str, str | None]] = []

    async def issue(request: web.Request) -> web.Response:
        _, repository, actions = request.query["scope"].split(":")
        asked.append((request.query["scope"], request.headers.get("Authorization")))
        token = await asyncio.to_thread(issuer.token, repository, *actions.split(","))
        return web.json_response({"token": token, "expires_in": 300})

    async with serving(issue) as tokens:
        realm = f"http://{tokens}/token"
        with docker_registry(tmp_path / "registry", token_realm=realm, issuer=issuer) as host:
            await asyncio.to_thread(push, image, f"{host}/team/app:1.0")
            asked.clear()
            credentials = RegistryCredentials(username=USERNAME, password=PASSWORD)
            async with RegistryImage(f"{host}/team/app:1.0", credentials=credentials) as source:
                await assert_holds(source, image)
            assert asked == [("repository:team/app:pull", credentials.basic)]


async def test_a_private_repository_that_is_hidden_from_strangers(image: BuiltImage, tmp_path: Path) -> None:
    """As skopeo finds it, which asks at `/v2/` before anything else."""
    credentials = RegistryCredentials(username=USERNAME, password=PASSWORD)
    with docker_registry(tmp_path / "registry", htpasswd=True) as host:
        await asyncio.to_thread(push, image, f"{host}/team/app:1.0", f"--dest-creds={USERNAME}:{PASSWORD}")

        async def hide(request: web.Request) -> web.Response:
            if request.path != "/v2/" and "Authorization" not in request.headers:
                return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
            url = f"http://{host}{request.rel_url}"
            async with ClientSession() as session, session.get(url, headers=request.headers) as reply:
                return web.Response(status=reply.status, headers=reply.headers, body=await reply.read())

        async with serving(hide) as front:
            async with RegistryImage(f"{front}/team/app:1.0", credentials=credentials) as source:
                graph = await assert_holds(source, image)
            raw = await asyncio.to_thread(
                skopeo,
                "inspect", "--raw", "--tls-verify=false", f"--creds={USERNAME}:{PASSWORD}",
                f"docker://{front}/team/app:1.0",
            )  # fmt: skip
    assert graph.root.raw.decode() == raw


async def test_a_registry_that_redirects_to_another_with_tokens(image: BuiltImage, tmp_path: Path) -> None:
    """The token service of the other registry is asked by nobody in particular."""
    issuer = TokenIssuer.make(tmp_path)
    asked: list[str | None] = []

    async def issue(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        token = await asyncio.to_thread(issuer.token, "team/app", "pull", "push")
        return web.json_response({"token": token, "expires_in": 300})

    async with serving(issue) as tokens:
        realm = f"http://{tokens}/token"
        with docker_registry(tmp_path / "registry", token_realm=realm, issuer=issuer) as host:
            await asyncio.to_thread(push, image, f"{host}/team/app:1.0")

            async def redirect(request: web.Request) -> web.Response:
                await request.read()
                raise web.HTTPTemporaryRedirect(f"http://{host}{request.rel_url}")

            async with serving(redirect) as front:
                asked.clear()
                credentials = RegistryCredentials(username=USERNAME, password=PASSWORD)
                async with RegistryImage(f"{front}/team/app:1.0", credentials=credentials) as source:
                    await assert_holds(source, image)
    assert asked == [None]


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncGenerator[str]:
    """Answer every request by ``handler``; yield where."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_registry_that_dies_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    image = write_image(tmp_path / "layout", layer_size=20_000_000, layers=1, real_layers=True)
    with docker_registry(tmp_path / "registry") as host:
        push(image, f"{host}/team/app:1.0")
        source = RegistryImage(f"{host}/team/app:1.0", max_attempts=20)
        graph = await load_image(source)
        layer = graph.blobs[1]
        blob = await source.open_blob(layer)
        first = await blob.read(0, 1_000_000)
    reading = asyncio.create_task(blob.read(1_000_000, layer.size - 1_000_000))
    await asyncio.sleep(0.1)
    with docker_registry(tmp_path / "registry", port=int(host.rpartition(":")[2])):
        assert content(first) + content(await reading) == image.read(layer.digest)
        await blob.close()
        assert await read_blob(source, graph.blobs[0]) == image.read(image.config)
        await source.close()
