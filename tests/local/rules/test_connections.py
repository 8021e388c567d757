"""Who dawdles, sends too much or vanishes: nobody holds a connection, memory or a thread for long."""

from __future__ import annotations

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from aioecrpublic.local import Settings
from tests.local.rules.helpers import (
    MIB,
    Boto,
    boto,
    head,
    push_layer,
    raw,
    refused,
    running,
    signed,
)
from tests.local.rules.test_layers import send
from tests.local.v2.helpers import Registry, logged_in
from tests.support.exchange import exchange
from tests.support.waiting import until_blocking

if TYPE_CHECKING:
    from collections.abc import Generator

    from aioecrpublic.local import LocalECRPublic

# Long enough for what is sent at once, on a busy machine too.
QUICK = Settings(idle_timeout=0.5)


@contextmanager
def connected(server: LocalECRPublic, *, window: int | None = None) -> Generator[socket.socket, None, None]:
    """A connection to the registry, with a small window if it is not to take much."""
    address = urlsplit(server.endpoint_url)
    with closing(socket.socket()) as connection:
        if window is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.settimeout(30)
        connection.connect((address.hostname, address.port))
        yield connection


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def wait_until_closed(files: int) -> None:
    """Until no more than so many files are open, the registry's sockets among them."""
    end = time.monotonic() + 30
    while open_files() > files:
        assert time.monotonic() < end, "a connection is held for ever"
        time.sleep(0.02)


def test_large_bodies_are_refused_before_they_come(server: LocalECRPublic) -> None:
    for operation, size in (("UploadLayerPart", 40 * MIB), ("DescribeRegistries", 3 * MIB)):
        headers = signed(server, operation)
        reply = raw(server, head(headers, **{"Content-Length": str(size)}))
        assert b" 413 " in reply.partition(b"\r\n")[0]
        assert b"RequestEntityTooLargeException" in reply


def test_large_bodies_that_hide_their_size(server: LocalECRPublic) -> None:
    headers = signed(server, "DescribeRegistries")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    reply = raw(server, head(headers, **{"Transfer-Encoding": "chunked"}) + 33 * chunk)
    assert b" 413 " in reply.partition(b"\r\n")[0]


def test_unsigned_bodies_are_not_waited_for(server: LocalECRPublic) -> None:
    headers = signed(server, "UploadLayerPart")
    del headers["Authorization"]
    reply = raw(server, head(headers, **{"Content-Length": "1000000"}))
    assert b"MissingAuthenticationTokenException" in reply


def test_who_dawdles_loses_the_connection() -> None:
    with running(settings=QUICK) as server:
        assert raw(server, b"") == b""
        assert raw(server, b"POST / HT") == b""
        assert raw(server, b"POST / HTTP/1.1\r\nHost: x\r\n") == b""
        late = raw(server, head(signed(server, "DescribeRegistries"), **{"Content-Length": "100"}) + b"{")
        assert b" 408 " in late.partition(b"\r\n")[0]
        assert b"RequestTimeoutException" in late


@pytest.mark.parametrize("rest", [b"", b"POST / HT"])
def test_a_connection_that_rests_is_closed(rest: bytes) -> None:
    with running(settings=QUICK) as server:
        request = head(signed(server, "DescribeRegistries"), **{"Content-Length": "2"}) + b"{}"
        with connected(server) as connection:
            connection.sendall(request + rest)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            assert connection.recv(65536) == b""


@contextmanager
def sending(
    settings: Settings, *, first: bytes = b"x", length: int = 100, **options: Any
) -> Generator[tuple[Boto, Registry, str, socket.socket], None, None]:
    """A v2 upload that has a byte of many: boto3, the v2 side, its location, the connection."""
    with running(settings=settings, **options) as server, closing(boto(server)) as client:
        client.create_repository(repositoryName="team/app")
        registry = logged_in(server, client)
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        lines = [
            f"PATCH {location} HTTP/1.1",
            "Host: x",
            f"Authorization: {registry.authorization}",
            f"Content-Length: {length}",
        ]
        with connected(server) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + first)
            yield client, registry, location, connection


def test_a_v2_body_that_does_not_come() -> None:
    with sending(QUICK) as (_, registry, location, connection):
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        # The upload is free again.
        assert registry.call("PATCH", location, b"y").status == 202


def test_an_upload_that_goes_before_it_is_written_to() -> None:
    with sending(Settings()) as (_, registry, location, connection):
        while registry.call("PATCH", location, b"").status != 409:
            time.sleep(0.01)
        assert registry.call("DELETE", location).status == 204
        connection.sendall(b"x" * 99)
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")


def test_an_upload_that_goes_while_it_is_written_to(tmp_path: Path) -> None:
    first = bytes(2 * MIB)
    with sending(Settings(), first=first, length=2 * MIB + 1, data_dir=tmp_path) as (
        _,
        registry,
        location,
        connection,
    ):
        (file,) = (tmp_path / "uploads").iterdir()
        until_blocking(lambda: file.stat().st_size >= MIB)
        assert registry.call("DELETE", location).status == 204
        connection.sendall(b"x")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        assert list((tmp_path / "uploads").iterdir()) == []


def test_nobody_waits_for_the_uploads_of_the_other_side() -> None:
    with sending(Settings()) as (client, registry, location, connection):
        upload = location.rpartition("/")[2]
        while registry.call("PATCH", location, b"").status != 409:
            time.sleep(0.01)

        def send_part(_: int) -> None:
            with refused("UploadNotFoundException"):
                send(client, "team/app", upload, 0, b"12345")

        # More than the registry has threads.
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(send_part, range(16)))
        connection.sendall(b"x" * 99)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202")


def test_who_does_not_read_loses_the_connection() -> None:
    with running(settings=QUICK) as server:
        client = boto(server)
        client.create_repository(repositoryName="team/app")
        digest = push_layer(client, "team/app", bytes(16 * MIB))
        anybody = Registry(server.registry_url, "local/team/app").as_anybody()
        client.close()
        path = f"GET /v2/local/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n"
        files = open_files()
        with connected(server, window=4096) as connection:
            connection.sendall(f"{path}Authorization: {anybody.authorization}\r\n\r\n".encode())
            assert connection.recv(1) == b"H"
            # The blob's file and the server's end of the connection are both gone; our end is there.
            wait_until_closed(files + 1)


def test_who_vanishes_is_not_complained_about(
    server: LocalECRPublic, client: Boto, caplog: pytest.LogCaptureFixture
) -> None:
    client.describe_registries()
    client.close()
    files = open_files()
    with connected(server) as connection:
        connection.sendall(head(signed(server, "UploadLayerPart"), **{"Content-Length": "1000000"}) + b"{")
        time.sleep(0.1)
    wait_until_closed(files)
    headers = signed(server, "DescribeRegistries")
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").status == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
