"""Debian's docker-registry on a loopback port: a Docker Registry v2 that this project did not write."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from tests.support.docker_registry_process import PROGRAM, docker_registry_process
from tests.support.tools import require, run

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

USERNAME, PASSWORD = "someone", "secret"
# bcrypt, the only kind that docker-registry takes.
_HTPASSWD = f"{USERNAME}:$2b$04$.UKx/.7b9M8Gf8X.CLjI7.zxH9EGdBemkwLCKACFG40lmLRFMz2/e\n"


@attrs.frozen
class TokenIssuer:
    """Signs the tokens that a registry accepts, by a key of its own; the token service is up to the test."""

    key: Path
    certificate: Path
    service: str = "registry.test"
    issuer: str = "issuer.test"

    @classmethod
    def make(cls, directory: Path) -> TokenIssuer:
        """Make a key and its certificate."""
        key, certificate = directory / "key.pem", directory / "certificate.pem"
        files = ["-keyout", str(key), "-out", str(certificate)]
        subject = ["-days", "2", "-subj", "/CN=issuer.test"]
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files)
        return cls(key, certificate)

    def token(self, repository: str, *actions: str, life: int = 300) -> str:
        """Return a JSON Web Token that allows some actions on a repository for `life` seconds."""
        pem = self.certificate.read_text()
        body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(body.split())]}
        claims = {
            "iss": self.issuer,
            "sub": USERNAME,
            "aud": self.service,
            "exp": now + life,
            "nbf": now - 10,
            "iat": now,
            "jti": str(time.monotonic_ns()),
            "access": [{"type": "repository", "name": repository, "actions": list(actions)}],
        }
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self.key)],
            input=signed.encode(),
            capture_output=True,
            check=True,
        )
        return f"{signed}.{_encode(signature.stdout)}"


@contextmanager
def docker_registry(
    directory: Path,
    *,
    delete: bool = True,
    htpasswd: bool = False,
    token_realm: str | None = None,
    issuer: TokenIssuer | None = None,
    port: int | None = None,
) -> Generator[str, None, None]:
    """Run docker-registry with its data below `directory`; yield `127.0.0.1:PORT`.

    It asks nobody anything, or with `htpasswd` for Basic authentication as `USERNAME` and `PASSWORD`, or
    with an `issuer` for one of its tokens, to be had at `token_realm`.
    """
    auth: dict[str, object] | None = None
    if htpasswd:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "htpasswd").write_text(_HTPASSWD)
        auth = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
    if issuer is not None:
        auth = {
            "token": {
                "realm": token_realm,
                "service": issuer.service,
                "issuer": issuer.issuer,
                "rootcertbundle": str(issuer.certificate),
            }
        }
    program = require(PROGRAM)
    with docker_registry_process(program, directory, delete=delete, auth=auth, port=port) as running:
        yield running.host


def store(directory: Path, layout: Path, repository: str, tag: str) -> None:
    """Put the manifest of an OCI layout where a registry on `directory` keeps its own; nothing is copied."""
    root = directory / "data" / "docker" / "registry" / "v2"
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    kept = root / "repositories" / repository
    for blob in (layout / "blobs" / "sha256").iterdir():
        data = root / "blobs" / "sha256" / blob.name[:2] / blob.name / "data"
        data.parent.mkdir(parents=True)
        data.hardlink_to(blob)
        _link(kept / "_layers" / "sha256" / blob.name, f"sha256:{blob.name}")
    algorithm, _, name = entry["digest"].partition(":")
    manifests = kept / "_manifests"
    for place in ("revisions", f"tags/{tag}/index"):
        _link(manifests / place / algorithm / name, entry["digest"])
    _link(manifests / "tags" / tag / "current", entry["digest"])


def _link(directory: Path, digest: str) -> None:
    directory.mkdir(parents=True)
    (directory / "link").write_text(digest)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
