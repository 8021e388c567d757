"""boto3 as anybody uses it, pointed at a registry in this process, and requests signed by botocore alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from aioecrpublic import Credentials
from aioecrpublic.local import DEFAULT_CREDENTIALS, BackgroundECRPublic, LocalECRPublic
from tests.support import oracle

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


Boto: TypeAlias = Any
OTHER_ACCOUNT = "210987654321"
OTHER = Credentials("AKIAOTHER", "other-secret", "other-session-token")
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MIB = 1024 * 1024


class Clock:
    """The time, which a test can move on."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead


@contextmanager
def running(**options: Any) -> Generator[LocalECRPublic, None, None]:
    """A registry in a thread of its own."""
    with BackgroundECRPublic(LocalECRPublic(**options)) as background:
        yield background.registry


def boto(
    server: LocalECRPublic,
    *,
    region: str = "us-east-1",
    credentials: Credentials = DEFAULT_CREDENTIALS,
    validate: bool = True,
    attempts: int = 1,
) -> Boto:
    """A boto3 client of the registry."""
    session = boto3.Session(
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        region_name=region,
    )
    retries = {"total_max_attempts": attempts, "mode": "standard"}
    config = oracle.config.Config(retries=retries, parameter_validation=validate)
    return session.client("ecr-public", endpoint_url=server.endpoint_url, config=config)


@contextmanager
def refused(code: str, *words: str) -> Generator[list[dict[str, Any]], None, None]:
    """The calls within are refused with this code; the error's parsed body is in the list afterwards."""
    seen: list[dict[str, Any]] = []
    with pytest.raises(oracle.exceptions.ClientError) as caught:
        yield seen
    response: dict[str, Any] = caught.value.response
    seen.append(response)
    assert response["Error"]["Code"] == code, response
    for word in words:
        assert word in response["Error"]["Message"], response
    assert response["ResponseMetadata"]["RequestId"]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push_layer(client: Boto, repository: str, data: bytes, part: int = 10 * MIB, **more: Any) -> str:
    """Upload a layer in parts, as the service's documentation says."""
    upload = client.initiate_layer_upload(repositoryName=repository, **more)
    for first in range(0, len(data), part):
        blob = data[first : first + part]
        client.upload_layer_part(
            repositoryName=repository,
            uploadId=upload["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(blob) - 1,
            layerPartBlob=blob,
            **more,
        )
    done = client.complete_layer_upload(
        repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[digest_of(data)], **more
    )
    assert done["layerDigest"] == digest_of(data)
    return digest_of(data)


def manifest_of(config: bytes, *layers: bytes, **more: Any) -> str:
    """A manifest of a config and layers."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, config),
        "layers": [descriptor(LAYER_TYPE, layer) for layer in layers],
        **more,
    }
    return json.dumps(document)


def index_of(*manifests: str) -> str:
    """An index of manifests."""
    children = [descriptor(MANIFEST_TYPE, manifest.encode()) for manifest in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": children})


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def push_small_image(client: Boto, repository: str, tag: str | None = None, seed: bytes = b"") -> str:
    """Push an image of a config and one layer; its digest."""
    blobs = (b"{}" + seed, b"layer" + seed)
    available = client.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[digest_of(blob) for blob in blobs]
    )["layers"]
    for blob, layer in zip(blobs, available, strict=True):
        if layer["layerAvailability"] != "AVAILABLE":
            push_layer(client, repository, blob)
    manifest = manifest_of(*blobs)
    tagged = {} if tag is None else {"imageTag": tag}
    client.put_image(repositoryName=repository, imageManifest=manifest, **tagged)
    return digest_of(manifest.encode())


def signed(
    server: LocalECRPublic,
    operation: str,
    body: bytes = b"{}",
    *,
    credentials: Credentials = DEFAULT_CREDENTIALS,
    headers: Mapping[str, str] | None = None,
    region: str = "us-east-1",
    service: str = "ecr-public",
) -> dict[str, str]:
    """The headers of a request that botocore signed."""
    request = AWSRequest(
        method="POST",
        url=f"{server.endpoint_url}/",
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"SpencerFrontendService.{operation}",
            **(headers or {}),
        },
    )
    pair = BotocoreCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    SigV4Auth(pair, service, region).add_auth(request)
    return {"Host": urlsplit(server.endpoint_url).netloc, **dict(request.headers.items())}


def raw(server: LocalECRPublic, data: bytes, seconds: float = 20) -> bytes:
    """What comes back for these bytes until the server closes the connection."""
    address = urlsplit(server.endpoint_url)
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        connection.sendall(data)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        return received


def head(headers: Mapping[str, str], **more: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**headers, **more}.items()]
    return "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode()
