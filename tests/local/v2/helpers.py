"""A client of the registry API that adds nothing."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from tests.support.exchange import Reply, exchange
from tests.support.oci import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic.local import LocalECRPublic

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@attrs.frozen
class Registry:
    """A registry, and who is asking."""

    url: str
    repository: str
    authorization: str | None = None

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request; a path that begins with no slash is one of the repository."""
        if "://" in path:
            path = path.split(urlsplit(self.url).netloc, 1)[1]
        elif not path.startswith("/"):
            path = f"/v2/{self.repository}/{path}"
        given = dict(headers or {})
        if self.authorization is not None:
            given["Authorization"] = self.authorization
        return exchange(self.url, method, path, given, body)

    def as_anybody(self) -> Registry:
        """The same with the token that anybody gets."""
        token = json.loads(attrs.evolve(self, authorization=None).call("GET", "/token/").body)["token"]
        return attrs.evolve(self, authorization=f"Bearer {token}")

    def push_blob(self, data: bytes) -> str:
        """Push a blob in two requests."""
        location = self.call("POST", "blobs/uploads/").headers["Location"]
        digest = digest_of(data)
        mark = "&" if "?" in location else "?"
        reply = self.call("PUT", f"{location}{mark}digest={digest}", data)
        assert reply.status == 201, reply
        return digest

    def push_image(self, reference: str, *layers: bytes, **more: Any) -> tuple[str, bytes]:
        """Push an image with its blobs; its digest and bytes."""
        config = b'{"architecture":"amd64","os":"linux"}'
        for data in (config, *layers):
            self.push_blob(data)
        manifest = image(config, *layers, **more)
        reply = self.call("PUT", f"manifests/{reference}", manifest, {"Content-Type": MANIFEST})
        assert reply.status == 201, reply
        return digest_of(manifest), manifest


def image(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """A manifest."""

    def descriptor(kind: str, data: bytes) -> dict[str, Any]:
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar+gzip", layer) for layer in layers],
            **more,
        }
    ).encode()


def logged_in(server: LocalECRPublic, client: Any, repository: str = "team/app") -> Registry:
    """The v2 side for who has the client's authorization token."""
    token = client.get_authorization_token()["authorizationData"]["authorizationToken"]
    return Registry(server.registry_url, f"local/{repository}", f"Bearer {token}")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
