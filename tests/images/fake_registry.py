"""A registry in the test's own process, which can fail in every way a registry can."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from typing import TYPE_CHECKING, Self

import attrs
from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from tests.support.oci import BuiltImage

USER = ("someone", "secret")


def basic(password: str = USER[1]) -> str:
    """Return the header of the user with some password."""
    return "Basic " + base64.b64encode(f"{USER[0]}:{password}".encode()).decode()


BASIC = basic()


@attrs.define
class Behaviour:
    """How the registry misbehaves; all is well by default."""

    auth: str | None = None
    """`basic`, `bearer`, or any other challenge as it is."""
    password: str = USER[1]
    token_life: int = 300
    tokens_refused: int = 0
    """So many of the first tokens are refused."""
    realm: str | None = None
    statuses: list[int] = attrs.field(factory=list)
    """For the next requests of the registry itself, instead of an answer."""
    retry_after: str | None = None
    date: str | None = None
    """Of these."""
    hidden: int | None = None
    """What strangers get instead of a challenge, but at `/v2/`."""
    moved: str | None = None
    """Another registry that everything is redirected to."""
    token_statuses: list[int] = attrs.field(factory=list)
    cuts: list[int] = attrs.field(factory=list)
    """After so many bytes of the body of the next blobs the connection is cut."""
    stalls: bool = False
    """The next blob stops in the middle without a word, until the registry is closed; so do referrers."""
    ranges: bool = True
    open_ranges: int = 206
    """What a range without an end is answered; 200 is the whole blob."""
    content_range: str | None = None
    extra: bytes = b""
    """Follows each blob."""
    chunked: bool = False
    blob_store: str | None = None
    """Where blobs are redirected to."""
    location: str | None = None
    """What blobs are redirected to, as it is."""
    headers: dict[str, str] = attrs.field(factory=dict)
    """On each good reply, in place of the usual ones."""
    head_status: int | None = None
    has_referrers: bool = True


class FakeRegistry:
    """Serves images built by `tests.support.oci` under the repository `team/app`.

    Args:
        tls: Its certificate; None speaks plain http.
        address: Where it listens.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self._tls = tls
        self._address = address
        self.behaviour = Behaviour()
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.blobs: dict[str, bytes] = {}
        self.referrers: list[bytes] = []
        self.requests: list[web.Request] = []
        self.tokens: list[str] = []
        self.answered: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self.host = ""
        self.released = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v2/", self._version)
        app.router.add_route("*", "/v2/team/app/manifests/{reference}", self._guarded(self._manifest))
        app.router.add_route("*", "/v2/team/app/blobs/{digest}", self._guarded(self._blob))
        app.router.add_get("/v2/team/app/referrers/{digest}", self._guarded(self._referrers))
        app.router.add_route("*", "/store/{digest}", self._store)
        app.router.add_route("*", "/token", self._token)
        app.router.add_get("/loop", self._loop)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, 0, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        await asyncio.sleep(0)
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def image(self) -> str:
        return f"docker://{self.host}/team/app:1.0"

    def add(self, image: BuiltImage, tag: str | None = "1.0") -> None:
        for digest in image.manifests:
            media_type = image.read(digest).split(b'"mediaType":"', 1)[1].split(b'"', 1)[0].decode()
            self.manifests[digest] = (image.read(digest), media_type)
        if tag is not None:
            self.manifests[tag] = self.manifests[image.digest]
        for digest in (*image.configs, *image.layers):
            self.blobs[digest] = image.read(digest)

    def seen(self, part: str) -> list[web.Request]:
        """Return the requests whose path contains `part`."""
        return [request for request in self.requests if part in request.path]

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.requests.append(request)
            if self.behaviour.moved is not None:
                return web.Response(
                    status=307, headers={"Location": f"{self.behaviour.moved}{request.rel_url}"}
                )
            if self.behaviour.statuses:
                status = self.behaviour.statuses.pop(0)
                if status == 0:
                    return await self._cut(request)
                asked = {"Retry-After": self.behaviour.retry_after, "Date": self.behaviour.date}
                return _error(status, "try later", {name: value for name, value in asked.items() if value})
            challenge = self._challenge(request)
            if challenge is not None and self.behaviour.hidden is not None:
                return _error(self.behaviour.hidden, "not for strangers", {})
            if challenge is not None:
                return _error(401, "authentication required", {"WWW-Authenticate": challenge})
            return await handler(request)

        return handle

    async def _version(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        challenge = self._challenge(request)
        if challenge is not None:
            return _error(401, "authentication required", {"WWW-Authenticate": challenge})
        return web.json_response({})

    def _challenge(self, request: web.Request) -> str | None:
        authorization = request.headers.get("Authorization", "")
        match self.behaviour.auth:
            case None:
                return None
            case "basic":
                return None if authorization == basic(self.behaviour.password) else 'Basic realm="here"'
            case "bearer":
                good = self.tokens[self.behaviour.tokens_refused :]
                if authorization.removeprefix("Bearer ") in good:
                    return None
                realm = self.behaviour.realm or f"http://{self.host}/token"
                return f'Bearer realm="{realm}",service="fake",scope="repository:team/app:pull"'
            case other:
                return other

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.behaviour.token_statuses:
            return _error(self.behaviour.token_statuses.pop(0), "no token for you", {})
        form = await request.post() if request.method == "POST" else None
        if form is not None and form.get("refresh_token") != "identity":
            return _error(401, "unknown identity", {})
        if request.headers.get("Authorization", basic(self.behaviour.password)) != basic(
            self.behaviour.password
        ):
            return _error(401, "unknown password", {})
        self.tokens.append(f"token-{len(self.tokens)}")
        return web.json_response({"token": self.tokens[-1], "expires_in": self.behaviour.token_life})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        found = self.manifests.get(request.match_info["reference"])
        if found is None:
            return _error(404, "manifest unknown", {})
        raw, media_type = found
        digest = next(name for name, (data, _) in self.manifests.items() if data == raw and ":" in name)
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest, **self.behaviour.headers}
        return web.Response(body=raw, headers=headers)

    async def _referrers(self, request: web.Request) -> web.StreamResponse:
        if not self.behaviour.has_referrers:
            return _error(404, "page not found", {})
        if self.behaviour.stalls:
            await self.released.wait()
        page = int(request.query.get("page", "0"))
        headers = {}
        if page + 1 < len(self.referrers):
            headers["Link"] = f'<{request.path}?page={page + 1}>; rel="next"'
        return web.Response(body=self.referrers[page], headers={**headers, **self.behaviour.headers})

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD" and self.behaviour.head_status:
            return _error(self.behaviour.head_status, "no", {})
        digest = request.match_info["digest"]
        if digest not in self.blobs:
            return _error(404, "blob unknown", {})
        if self.behaviour.location is not None:
            return web.Response(status=307, headers={"Location": self.behaviour.location})
        if self.behaviour.blob_store is not None:
            # The query is what signed URLs look like, and must arrive as it is.
            location = f"{self.behaviour.blob_store}/store/{digest}?X-Sig=a%2Fb%2B%3D&x=%20"
            return web.Response(status=307, headers={"Location": location})
        return await self._send(request, self.blobs[digest])

    async def _store(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        assert request.rel_url.raw_query_string == "X-Sig=a%2Fb%2B%3D&x=%20"
        return await self._send(request, self.blobs[request.match_info["digest"]])

    async def _loop(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        raise web.HTTPFound("/loop")

    async def _send(self, request: web.Request, data: bytes) -> web.StreamResponse:
        behaviour = self.behaviour
        start = 0
        response = web.StreamResponse(headers=behaviour.headers)
        asked = request.headers.get("Range")
        if asked is not None and asked.endswith("-") and behaviour.open_ranges not in {200, 206}:
            return _error(behaviour.open_ranges, "no such range", {})
        if (
            asked is not None
            and behaviour.ranges
            and not (asked.endswith("-") and behaviour.open_ranges == 200)
        ):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            response.set_status(206)
            stated = f"bytes {start}-{len(data) - 1}/{len(data)}"
            response.headers["Content-Range"] = behaviour.content_range or stated
        body = data[start:] + behaviour.extra
        if not behaviour.chunked:
            response.content_length = len(body)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if behaviour.cuts:
            await response.write(body[: behaviour.cuts.pop(0)])
            await asyncio.sleep(0.01)
            return await self._cut(request)
        if behaviour.stalls:
            behaviour.stalls = False
            await response.write(body[: len(body) // 2])
            await self.released.wait()
            return response
        await response.write(body)
        await response.write_eof()
        return response

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


def _error(status: int, message: str, headers: dict[str, str]) -> web.Response:
    return web.json_response(
        {"errors": [{"code": "FAKE", "message": message}]}, status=status, headers=headers
    )
