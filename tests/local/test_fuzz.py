"""Any bytes at all, sent to a running registry: an error or a close, and it goes on as before."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.local import LocalECRPublic, Settings
from tests.local.rules.helpers import digest_of, head, manifest_of, signed
from tests.support.hostile import EVERYTHING, assert_harmless
from tests.support.oci import write_image
from tests.support.soak import FUZZ
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES: Final = FUZZ.max_examples
AT_ONCE: Final = 100
# Long enough for what is sent at once, on a busy machine too.
QUICK: Final = Settings(idle_timeout=0.4, smallest_part=1)
BOUND: Final = 60.0
REPOSITORY: Final = "team/app"
BASE: Final = f"/v2/local/{REPOSITORY}"
STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
OPERATIONS: Final = [
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "CreateRepository",
    "DescribeImages",
    "DescribeRepositories",
    "InitiateLayerUpload",
    "PutImage",
    "PutRepositoryCatalogData",
    "SetRepositoryPolicy",
    "TagResource",
    "UploadLayerPart",
]
VALUES: Final = [
    *(b"null", b"true", b"-0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000, b"0.1", b"-1"),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b'"' + b"x" * 9000 + b'"'),
    *(b"[" * 3000, b"[" * 3000 + b"]" * 3000, b'{"a":' * 2000 + b"1" + b"}" * 2000, b"[]", b"{}", b""),
    json.dumps(EVERYTHING).encode(),
]
MEMBERS: Final = [
    *("repositoryName", "registryId", "uploadId", "layerDigests", "partFirstByte", "partLastByte"),
    *("layerPartBlob", "imageManifest", "imageTag", "imageDigest", "nextToken", "maxResults", "catalogData"),
    *("policyText", "resourceArn", "tags", "imageIds", "__type", ""),
]
TOKENS: Final = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"%",
        b"/",
        b"..",
        b"\xff",
        b"\x80",
        b"\xc3\xa9",
        b"\r\n\r\n",
    ),
    *(b"\r\nContent-Length: 5", b"\r\nContent-Length: -1", b"\r\nContent-Length: 99999999999999999999999"),
    *(b"\r\nContent-Length: 5\r\nContent-Length: 6", b"\r\nContent-Length: 5, 5", b"\r\nContent-Length: +5"),
    *(
        b"\r\nTransfer-Encoding: chunked",
        b"\r\nTransfer-Encoding: gzip, chunked",
        b"\r\nTransfer-Encoding: x",
    ),
    *(b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", b"\r\nContent-Encoding: gzip"),
    *(
        b"\r\nExpect: 100-continue",
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade",
        b"\r\nConnection: close",
    ),
    *(b"\r\nRange: bytes=0-", b"\r\nContent-Range: 5-4", b"\r\nX: " + b"y" * 9000, 200 * b"\r\nX: y"),
    *(
        b"ffffffffffffffffffff\r\n",
        b"-5\r\n",
        b"5;x=y\r\n",
        b"0\r\n\r\n",
        b"HTTP/9.9",
        b"HTTP/1.0",
        b"HTTP/0.9",
    ),
    *(b"CONNECT x:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"http://[::1", b"//x", b"?digest=", b"PRI * HTTP/2.0"),
    *(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", EVERYTHING.encode(errors="surrogatepass")),
]


class Writer:
    """Writes requests that are almost right.

    Args:
        server: Whom they are for.
        token: Of the registry API.
        upload: An upload of the API, and the location of one of the registry API.
    """

    def __init__(self, server: LocalECRPublic, token: str, upload: tuple[str, str]) -> None:
        self._server = server
        self._token = token
        self._upload, self._location = upload
        # Signing takes longer than all the rest.
        self._unsigned = {name: self._signed(name, b"{}") for name in OPERATIONS}

    def message(self, seed: int) -> bytes:
        """The bytes of one connection."""
        choose = random.Random(seed)
        makers: list[Callable[[random.Random], bytes]] = [
            self._call,
            self._spoilt_call,
            self._v2,
            self._noise,
        ]
        (make,) = choose.choices(makers, [6, 3, 6, 1])
        data = make(choose)
        for _ in range(choose.choice([0, 0, 0, 1, 1, 4])):
            data = _damage(choose, data)
        return data + data if choose.random() < 0.05 else data

    def _call(self, choose: random.Random) -> bytes:
        """A call with a right signature and any body."""
        body = self._body(choose)
        return self._signed(choose.choice(OPERATIONS), body) + body

    def _spoilt_call(self, choose: random.Random) -> bytes:
        return choose.choice(list(self._unsigned.values())) + self._body(choose)

    def _v2(self, choose: random.Random) -> bytes:
        manifest = manifest_of(b"{}", b"layer").encode()
        body = choose.choice(
            [b"", b"x" * choose.randrange(5000), manifest, b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n"]
        )
        method, path = choose.choice([
            *(("GET", "/v2/"), ("GET", "/token/"), ("GET", "/logos/x"), ("GET", BASE)),
            *(("GET", f"{BASE}/tags/list?n=5&last=x"), ("GET", f"{BASE}/referrers/{digest_of(b'')}")),
            *(("GET", f"{BASE}/manifests/1.0"), ("PUT", f"{BASE}/manifests/1.0")),
            *(("GET", f"{BASE}/blobs/{digest_of(b'layer')}"), ("HEAD", f"{BASE}/blobs/{digest_of(b'x')}")),
            *(("POST", f"{BASE}/blobs/uploads/{more}") for more in ("", f"?digest={digest_of(body)}")),
            *(("PATCH", self._location), ("PATCH", self._location), ("GET", self._location)),
            *(("PUT", f"{self._location}?digest={digest_of(b'x')}"), ("DELETE", f"{BASE}/blobs/uploads/x")),
        ])  # fmt: skip
        if choose.random() < 0.1:
            method = choose.choice(["HEAD", "TRACE", "M-SEARCH", "x", "DELETE", "OPTIONS"])
        length = choose.choice([f"Content-Length: {len(body)}", "Transfer-Encoding: chunked", "X: y"])
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self._token}", length]
        return "\r\n".join([*lines, "", ""]).encode() + body

    @staticmethod
    def _noise(choose: random.Random) -> bytes:
        return choose.choice(
            [choose.randbytes(choose.randrange(2000)), b"".join(choose.choices(TOKENS, k=9))]
        )

    def _body(self, choose: random.Random) -> bytes:
        known = {
            "repositoryName": json.dumps(REPOSITORY).encode(),
            "uploadId": json.dumps(self._upload).encode(),
            "layerPartBlob": b'"' + base64.b64encode(b"12345") + b'"',
            "partFirstByte": b"0",
            "partLastByte": b"4",
            "imageManifest": json.dumps(manifest_of(b"{}", b"layer")).encode(),
        }
        pairs = []
        for name in choose.sample(MEMBERS, choose.randrange(1, 6)):
            right = known.get(name) if choose.random() < 0.7 else None
            pairs.append(json.dumps(name).encode() + b":" + (right or choose.choice(VALUES)))
        body = b"{" + b",".join(pairs) + b"}"
        return choose.choice([body, body, body, choose.choice(VALUES), b"\xef\xbb\xbf" + body, body + b"{}"])

    def _signed(self, operation: str, body: bytes) -> bytes:
        headers = signed(self._server, operation, body)
        return head(headers, **{"Content-Length": str(len(body))})


def _damage(choose: random.Random, data: bytes) -> bytes:
    """Insert, replace or leave out something."""
    start = choose.randrange(len(data) + 1)
    # Where the lines of the head are, more often than not.
    if choose.random() < 0.6 and (ends := [match.start() for match in re.finditer(rb"\r\n", data)]):
        start = choose.choice(ends)
    end = min(start + choose.choice([0, 0, 1, 2, 10]), len(data))
    if choose.random() < 0.1:
        return data[:start]
    return data[:start] + choose.choice([*TOKENS, b"", choose.randbytes(3)]) + data[end:]


async def exchange(server: LocalECRPublic, data: bytes, cut: int = 0) -> bytes:
    """Send bytes, at once or in two; what came back until the registry closed the connection."""
    address = urlsplit(server.endpoint_url)
    received = b""
    async with asyncio.timeout(BOUND):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            with suppress(ConnectionError):
                for part in (data[:cut], data[cut:]):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                while piece := await reader.read(65536):
                    received += piece
        finally:
            writer.transport.abort()
    return received


async def started(server: LocalECRPublic, client: ECRPublicClient) -> Writer:
    await client.create_repository(repository_name=REPOSITORY)
    upload = (await client.initiate_layer_upload(repository_name=REPOSITORY)).upload_id
    assert upload is not None
    data = (await client.get_authorization_token()).authorization_data
    assert data is not None
    token = data.authorization_token
    path = f"POST {BASE}/blobs/uploads/ HTTP/1.1"
    lines = [path, "Host: x", f"Authorization: Bearer {token}", "Connection: close", "", ""]
    reply = await exchange(server, "\r\n".join(lines).encode())
    match = re.search(rb"Location: (\S+)", reply)
    assert match is not None
    return Writer(server, str(token), (upload, match[1].decode()))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_whatever_is_sent_is_refused_or_hung_up_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    image = write_image(tmp_path / "image", layers=2, layer_size=100_000)
    statuses: set[int] = set()
    async with (
        LocalECRPublic(tmp_path / "data", settings=QUICK) as server,
        ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
    ):
        writer = await started(server, client)
        await asyncio.sleep(3 * QUICK.idle_timeout)
        tasks, files = len(asyncio.all_tasks()), open_files()
        for first in range(0, EXAMPLES, AT_ONCE):
            seeds = range(first, first + AT_ONCE)
            replies = await asyncio.gather(
                *(exchange(server, writer.message(seed), seed % 500) for seed in seeds)
            )
            for seed, reply in zip(seeds, replies, strict=True):
                found = {int(status) for status in STATUS.findall(reply)}
                assert not reply or STATUS.match(reply), (seed, reply[:500])
                assert not {status for status in found if status >= 500}, (seed, reply[:500])
                statuses |= found
            failures = [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert not failures, (first, failures[0].getMessage(), failures[0].exc_text)
            assert_harmless(caplog.text)
            caplog.clear()
        await until(lambda: len(asyncio.all_tasks()) <= tasks and open_files() <= files)
        result = await push_image(client, image.directory, REPOSITORY, ["honest"])
        assert result.layers_uploaded == 3
    # It got somewhere: what is almost right is right now and then.
    assert {200, 400, 401, 404, 405} <= statuses
