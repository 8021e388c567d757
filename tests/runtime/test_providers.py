"""Credentials of every provider in botocore's chain, from endpoints on this machine, sign a call.

The endpoints are served by the very event loop that the client runs on: whoever waited for a provider there
would wait for ever.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ECRPublicClient
from tests.support.wire import Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.wire import Received

EXPIRES = "2099-01-01T00:00:00Z"
START_URL = "https://example.awsapps.com/start"
KEYS = {"AccessKeyId": "AKIDFOUND", "SecretAccessKey": "s", "Token": "t", "Expiration": EXPIRES}


def sts(operation: str) -> bytes:
    return answer(
        data=f"""<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>
        <AssumedRoleUser><AssumedRoleId>A:B</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>
        </AssumedRoleUser><Credentials><AccessKeyId>AKIDFOUND</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
        <SessionToken>t</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials>
        </{operation}Result></{operation}Response>""".encode(),
        headers={"Content-Type": "text/xml"},
    )


def provided(request: Received) -> bytes:
    """What the endpoints of all providers answer."""
    if request.path == "/container":
        assert request.headers["Authorization"] == "a-container's-token"
        return answer(KEYS)
    if request.path == "/latest/api/token":
        return answer(data=b"a-metadata-token")
    if request.path == "/latest/meta-data/iam/security-credentials/":
        return answer(data=b"a-role")
    if request.path == "/latest/meta-data/iam/security-credentials/a-role":
        return answer({**KEYS, "Code": "Success"})
    if request.path.startswith("/federation/credentials"):
        assert request.headers["x-amz-sso_bearer_token"] == "an-sso-token"
        keys = {"accessKeyId": "AKIDFOUND", "secretAccessKey": "s", "sessionToken": "t"}
        return answer({"roleCredentials": {**keys, "expiration": 4_070_908_800_000}})
    with_identity = b"AssumeRoleWithWebIdentity" in request.body
    return sts("AssumeRoleWithWebIdentity" if with_identity else "AssumeRole")


@pytest.fixture
async def provider() -> AsyncIterator[Wire]:
    async with Wire() as server:
        server.default = provided
        yield server


def shared_file(tmp_path: Path, _: str) -> dict[str, str]:
    path = tmp_path / "credentials"
    lines = ["[default]", "aws_access_key_id=AKIDFOUND", "aws_secret_access_key=s", "aws_session_token=t"]
    path.write_text("\n".join(lines))
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path)}


def container(_: Path, url: str) -> dict[str, str]:
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a-container's-token",
    }


def metadata(_: Path, url: str) -> dict[str, str]:
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}


def role(tmp_path: Path, url: str) -> dict[str, str]:
    path = tmp_path / "config"
    path.write_text(
        "[default]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\n"
        "[profile base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=b\n"
    )
    return {"AWS_CONFIG_FILE": str(path), "AWS_ENDPOINT_URL_STS": url}


def web_identity(tmp_path: Path, url: str) -> dict[str, str]:
    path = tmp_path / "identity"
    path.write_text("an.identity.token")
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(path),
        "AWS_ENDPOINT_URL_STS": url,
    }


def single_sign_on(tmp_path: Path, url: str) -> dict[str, str]:
    path = tmp_path / "config"
    path.write_text(
        f"[default]\nsso_start_url={START_URL}\nsso_region=us-east-1\nsso_account_id=1\nsso_role_name=r\n"
    )
    cache = tmp_path / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    name = hashlib.sha1(START_URL.encode(), usedforsecurity=False).hexdigest()
    token = {"startUrl": START_URL, "accessToken": "an-sso-token", "expiresAt": EXPIRES}
    (cache / f"{name}.json").write_text(json.dumps(token))
    return {"AWS_CONFIG_FILE": str(path), "AWS_ENDPOINT_URL_SSO": url}


@pytest.mark.parametrize("prepare", [shared_file, container, metadata, role, web_identity, single_sign_on])
async def test_every_provider_of_the_chain_signs(
    wire: Wire, provider: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Any
) -> None:
    # botocore takes the cache of single sign-on from the home that it was imported with.
    monkeypatch.setattr(
        "botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache")
    )
    for name, value in prepare(tmp_path, provider.url).items():
        monkeypatch.setenv(name, value)
    async with ECRPublicClient("us-east-1", wire.url) as client:
        await client.describe_registries()
        asked = len(provider.requests)
        await client.describe_registries()
    assert len(provider.requests) == asked
    for request in wire.requests:
        assert "Credential=AKIDFOUND/" in request.headers["Authorization"]
        assert request.headers["X-Amz-Security-Token"] == "t"
    assert len(wire.requests) == 2
