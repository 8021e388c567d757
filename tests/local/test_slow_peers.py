"""Two hundred peers that know no secret let the registry wait, in every way there is: the others work on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from aioecrpublic import Credentials, ECRPublicClient, push_image
from aioecrpublic.local import DEFAULT_CREDENTIALS, Settings
from tests.local.rules.helpers import MIB, boto, digest_of, head, push_layer, running, signed
from tests.local.v2.helpers import MANIFEST, Registry
from tests.support.exchange import exchange
from tests.support.oci import write_image
from tests.support.registry_process import registry_process
from tests.support.waiting import until_blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from tests.local.rules.helpers import Boto
    from tests.support.registry_process import RegistryProcess

PEERS = 200
# Whatever it takes on a busy machine; without limits it would be for ever.
BOUND = 60.0
# An access key id is no secret.
THIEF = Credentials(DEFAULT_CREDENTIALS.access_key_id, "guessed")
LAYER = bytes(8 * MIB)
MOST_THREADS = 32
MOST_ABOVE_IDLE = 256 * MIB
REPOSITORY = "team/app"


class Server:
    """What helpers want to know of a registry in another process."""

    def __init__(self, process: RegistryProcess) -> None:
        self.process = process
        self.endpoint_url = self.registry_url = process.url
        self.credentials = DEFAULT_CREDENTIALS


@pytest.fixture
def server() -> Iterator[Server]:
    with registry_process() as process:
        server = Server(process)
        with closing(boto(server)) as client:  # type: ignore[arg-type]
            client.create_repository(repositoryName=REPOSITORY)
            push_layer(client, REPOSITORY, LAYER)
        yield server


def connect(server: Any) -> socket.socket:
    address = urlsplit(server.endpoint_url)
    connection = socket.socket()
    # It is to take little, if it is not read.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(BOUND)
    connection.connect((address.hostname, address.port))
    return connection


def part_head(server: Any, **more: str) -> bytes:
    """The head of a part of a layer, signed by a thief."""
    return head(signed(server, "UploadLayerPart", credentials=THIEF), **more)


def anybody(server: Any) -> str:
    authorization = Registry(server.registry_url, f"local/{REPOSITORY}").as_anybody().authorization
    assert authorization is not None
    return authorization


def v2_head(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def silent(_: Any) -> bytes:
    return b""


def half_a_head(_: Any) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "


def no_body(server: Any) -> bytes:
    return part_head(server, **{"Content-Length": str(20 * MIB)})


def little_of_a_body(server: Any) -> bytes:
    return no_body(server) + b"x" * 200_000


def much_of_a_body(server: Any) -> bytes:
    return no_body(server) + b"x" * 2_000_000


def chunks(server: Any) -> bytes:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    return part_head(server, **{"Transfer-Encoding": "chunked"}) + 5 * chunk + b"10000\r\n"


def small_body(server: Any) -> bytes:
    signature = signed(server, "DescribeRegistries", credentials=THIEF)
    return head(signature, **{"Content-Length": "60000"}) + b"x" * 50_000


def no_token(_: Any) -> bytes:
    path = f"/v2/local/{REPOSITORY}/blobs/uploads/?digest={digest_of(b'')}"
    return v2_head("POST", path, Content_Length="1000000000")


def anybodys_manifest(server: Any) -> bytes:
    path = f"/v2/local/{REPOSITORY}/manifests/1.0"
    token = anybody(server)
    return v2_head("PUT", path, Authorization=token, Content_Type=MANIFEST, Content_Length="4000000")


def unread_blob(server: Any) -> bytes:
    path = f"/v2/local/{REPOSITORY}/blobs/{digest_of(LAYER)}"
    return v2_head("GET", path, Authorization=anybody(server))


def unread_replies(server: Any) -> bytes:
    path = f"/v2/local/{REPOSITORY}/tags/list"
    return 50 * v2_head("GET", path, Authorization=anybody(server))


def idle(_: Any) -> bytes:
    return v2_head("GET", "/token/")


PATIENT: list[Callable[[Any], bytes]] = [
    silent,
    half_a_head,
    no_body,
    little_of_a_body,
    much_of_a_body,
    chunks,
    small_body,
    no_token,
    anybodys_manifest,
    unread_blob,
    unread_replies,
    idle,
]


def send_all(connection: socket.socket, data: bytes) -> None:
    """Send what the other side takes, as far as it does at once."""
    connection.settimeout(0)
    left = memoryview(data)
    deadline = time.monotonic() + 0.2
    while left and time.monotonic() < deadline:
        try:
            left = left[connection.send(left) :]
        except BlockingIOError:
            time.sleep(0.001)
        except ConnectionError:
            return


@contextmanager
def besieged(server: Any, what: Callable[[Any], bytes], peers: int = PEERS) -> Generator[None, None, None]:
    """Let so many peers send something, and a byte now and then; what comes back is read by nobody."""
    data, over = what(server), threading.Event()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(server))) for _ in range(peers)]
        for connection in connections:
            send_all(connection, data)

        def trickle() -> None:
            while not over.wait(0.1):
                for connection in connections:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")

        thread = threading.Thread(target=trickle)
        if what is not idle:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.is_alive():
                thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("what", PATIENT)
def test_others_work_on(server: Server, what: Callable[[Any], bytes], tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", layers=2, layer_size=12 * MIB)

    async def push() -> None:
        async with ECRPublicClient(
            endpoint_url=server.endpoint_url, credentials=server.credentials
        ) as client:
            await push_image(client, image.directory, REPOSITORY, ["1.0"])

    idle = server.process.vitals()
    with besieged(server, what), closing(boto(server, attempts=3)) as client:  # type: ignore[arg-type]
        begun = time.monotonic()
        push_layer(client, REPOSITORY, b"a" * 12 * MIB)
        asyncio.run(asyncio.wait_for(push(), BOUND))
        registry = Registry(server.registry_url, f"local/{REPOSITORY}").as_anybody()
        assert registry.call("GET", f"blobs/{digest_of(LAYER)}").status == 200
        push_by_a_new_connection(server, client)
        assert time.monotonic() - begun < BOUND
        held = server.process.vitals()
    assert held.threads <= MOST_THREADS
    assert held.resident <= idle.resident + MOST_ABOVE_IDLE
    until_blocking(lambda: server.process.vitals().tasks <= idle.tasks)


def push_by_a_new_connection(server: Any, client: Boto) -> None:
    """Nothing is known of its peer before the whole part has come."""
    upload = client.initiate_layer_upload(repositoryName=REPOSITORY)["uploadId"]
    part = {
        "repositoryName": REPOSITORY,
        "uploadId": upload,
        "partFirstByte": 0,
        "partLastByte": len(LAYER) - 1,
        "layerPartBlob": base64.b64encode(LAYER).decode(),
    }
    body = json.dumps(part).encode()
    headers = signed(server, "UploadLayerPart", body)
    assert exchange(server.endpoint_url, "POST", "/", headers, body).status == 200


@pytest.mark.slow
def test_a_crowd_of_idle_connections_keeps_nobody_out() -> None:
    with registry_process(settings=Settings(most_connections=300)) as process:
        server = Server(process)
        files = process.vitals().files
        with besieged(server, idle, 1500), closing(boto(server)) as client:  # type: ignore[arg-type]
            until_blocking(lambda: process.vitals().files <= files + 300)
            client.create_repository(repositoryName=REPOSITORY)
            push_layer(client, REPOSITORY, b"layer")
        until_blocking(lambda: process.vitals().files <= files + 1)


def test_who_has_shown_a_secret_is_given_up_last() -> None:
    with running(settings=Settings(most_connections=20)) as server:
        address = urlsplit(server.endpoint_url)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port)) as connection:

            def call() -> int:
                connection.request("POST", "/", b"{}", signed(server, "DescribeRegistries"))
                response = connection.getresponse()
                response.read()
                return response.status

            assert call() == 200
            peer = connection.sock
            with besieged(server, idle, 100):
                assert call() == 200
            assert connection.sock is peer


QUICK = Settings(idle_timeout=0.5)


@pytest.mark.parametrize("what", PATIENT)
def test_whoever_lets_it_wait_is_hung_up_on(what: Callable[[Any], bytes]) -> None:
    with running(settings=QUICK) as server, closing(boto(server)) as client:
        client.create_repository(repositoryName=REPOSITORY)
        push_layer(client, REPOSITORY, LAYER)
        with closing(connect(server)) as connection:
            send_all(connection, what(server))
            connection.settimeout(BOUND)
            closed = threading.Event()

            def wait_until_closed() -> None:
                # A byte for each limit there is would go on for ever.
                with contextlib.suppress(OSError):
                    while True:
                        time.sleep(0.1)
                        connection.send(b"x")
                closed.set()

            thread = threading.Thread(target=wait_until_closed, daemon=True)
            thread.start()
            assert closed.wait(BOUND)
            thread.join()


def send_headers_without_end(server: Any) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(100_000):
            connection.sendall(f"X-{number}: {'x' * 1000}\r\n".encode())


def test_a_head_without_end_is_hung_up_on() -> None:
    with running() as server, pytest.raises(ConnectionError):
        send_headers_without_end(server)


def test_a_close_that_is_not_answered_ends_too() -> None:
    """The registry closes, and its peer neither reads what is left nor closes."""
    with running(settings=QUICK) as server, closing(boto(server)) as client:
        client.create_repository(repositoryName=REPOSITORY)
        push_layer(client, REPOSITORY, LAYER)
        client.close()
        with closing(connect(server)) as connection:
            connection.sendall(unread_replies(server))
    # Neither does it keep the registry from ending.


def test_a_registry_ends_while_nobody_reads_or_sends() -> None:
    with contextlib.ExitStack() as stack:
        with running() as server, closing(boto(server)) as client:
            client.create_repository(repositoryName=REPOSITORY)
            push_layer(client, REPOSITORY, LAYER)
            for what in PATIENT:
                connection = stack.enter_context(closing(connect(server)))
                send_all(connection, what(server))
            begun = time.monotonic()
        assert time.monotonic() - begun < BOUND


def test_a_body_is_refused_before_it_comes_if_the_head_says_enough(server: Server) -> None:
    """A request may say the hash of its body: then its signature is verified without it."""
    declared = {"X-Amz-Content-SHA256": "0" * 64}
    wrong = signed(server, "UploadLayerPart", credentials=THIEF, headers=declared)  # type: ignore[arg-type]
    with closing(connect(server)) as connection:
        connection.sendall(head(wrong, **{"Content-Length": str(20 * MIB)}))
        assert b"InvalidSignatureException" in connection.recv(65536)


def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    body = b"{}"
    right = signed(server, "DescribeRegistries", body)  # type: ignore[arg-type]
    with closing(connect(server)) as connection:
        connection.sendall(head(right, **{"Content-Length": "2", "Expect": "100-continue"}))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(
            head(right | {"Authorization": "no"}, **{"Content-Length": "2", "Expect": "100-continue"})
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
