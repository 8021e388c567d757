"""Idle connections that died without a word, as behind a load balancer, and all of them at once."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Self

import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.errors import BrokenReplyError, ConnectError
from aioecrpublic.images import RegistryImage
from tests.common.test_silence import GOOD, MANIFEST
from tests.support.wire import Raw, Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aioecrpublic._runtime.hooks import RetryEvent

CREDENTIALS = Credentials("AKIDEXAMPLE", "a-secret")
IDLE = 8


class Balancer:
    """A server that forgets its idle connections: what comes on them later is no longer answered.

    Attributes:
        end: ``reset``, ``end`` (of the stream), or ``half`` for the end after half a head.
        waiting: How many requests have to come before the first is answered.
        served: The requests that were answered.
        connections: How many were opened.
    """

    def __init__(self) -> None:
        self.end = "reset"
        self.waiting = 1
        self.served: list[bytes] = []
        self.connections = 0
        self._generation = 0
        self._gate = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = "127.0.0.1:{1}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        self._generation += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        generation = self._generation
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if generation != self._generation:
                    self._finish(writer)
                    return
                self.waiting -= 1
                if self.waiting <= 0:
                    self._gate.set()
                await self._gate.wait()
                self.served.append(head)
                if head.startswith(b"GET"):
                    writer.write(GOOD + b"Content-Length: %d\r\n\r\n" % len(MANIFEST) + MANIFEST)
                else:
                    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                    await reader.readexactly(int(length or b"0"))
                    writer.write(answer())
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    def _finish(self, writer: asyncio.StreamWriter) -> None:
        if self.end == "half":
            writer.write(b"HTTP/1.1 200 OK\r\nX-Half: ")
        elif self.end == "reset":
            connection: socket.socket = writer.get_extra_info("socket")
            # Closed without lingering, a connection is reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@pytest.fixture
async def balancer() -> AsyncIterator[Balancer]:
    async with Balancer() as made:
        yield made


class Retries:
    """Counts the attempts that a client gives up."""

    def __init__(self) -> None:
        self.seen: list[RetryEvent] = []

    async def on_retry(self, event: RetryEvent) -> None:
        self.seen.append(event)


async def fill(client: ECRPublicClient, balancer: Balancer) -> None:
    """Leave as many idle connections in the pool."""
    balancer.waiting = IDLE
    await asyncio.gather(*(client.describe_registries() for _ in range(IDLE)))
    assert balancer.connections == IDLE
    balancer.served.clear()
    balancer.forget()


@pytest.mark.parametrize("end", ["reset", "end"])
async def test_a_call_that_reads_spends_no_attempt_on_dead_connections(balancer: Balancer, end: str) -> None:
    balancer.end = end
    retries = Retries()
    async with ECRPublicClient(
        "us-east-1",
        f"http://{balancer.host}",
        CREDENTIALS,
        max_attempts=1,
        rate_limits=False,
        hooks=[retries],
    ) as client:
        await fill(client, balancer)
        for _ in range(IDLE):
            response = await client.describe_registries()
            assert response.metadata.attempts == 1
        # The first that was found dead has told of the others: one new connection is enough.
        assert balancer.connections == IDLE + 1
        await call_many(client, balancer)
    assert retries.seen == []


async def call_many(client: ECRPublicClient, balancer: Balancer) -> None:
    """Many calls at once, on connections that are all dead."""
    balancer.forget()
    balancer.served.clear()
    replies = await asyncio.gather(*(client.describe_registries() for _ in range(2 * IDLE)))
    assert {reply.metadata.attempts for reply in replies} == {1}
    assert len(balancer.served) == 2 * IDLE


@pytest.mark.parametrize("end", ["reset", "end"])
async def test_a_call_that_changes_something_spends_one_attempt_on_all_of_them(
    balancer: Balancer, end: str
) -> None:
    balancer.end = end
    async with ECRPublicClient(
        "us-east-1", f"http://{balancer.host}", CREDENTIALS, max_attempts=2, rate_limits=False
    ) as client:
        await fill(client, balancer)
        response = await client.create_repository(repository_name="app")
        assert response.metadata.attempts == 2
        assert len(balancer.served) == 1
        balancer.forget()
        # It may have been carried out: whether to repeat it is for the caller to say.
        with pytest.raises(ConnectError):
            await client.with_options(max_attempts=1).create_repository(repository_name="app")
        assert len(balancer.served) == 1


async def test_a_reply_that_has_begun_is_not_asked_for_again(balancer: Balancer) -> None:
    balancer.end = "half"
    async with ECRPublicClient(
        "us-east-1", f"http://{balancer.host}", CREDENTIALS, max_attempts=1, rate_limits=False
    ) as client:
        await fill(client, balancer)
        with pytest.raises(BrokenReplyError, match="cut short"):
            await client.describe_registries()
    assert balancer.served == []


async def test_a_new_connection_that_is_closed_costs_an_attempt() -> None:
    async with Wire() as server:
        server.answers = [Raw(b"")]
        async with ECRPublicClient("us-east-1", server.url, CREDENTIALS, max_attempts=1) as client:
            with pytest.raises(ConnectError):
                await client.describe_registries()
        assert len(server.requests) == 1


@pytest.mark.parametrize("end", ["reset", "end"])
async def test_a_registry_is_asked_again_on_a_new_connection(balancer: Balancer, end: str) -> None:
    balancer.end = end
    async with RegistryImage(f"{balancer.host}/app:1", anonymous=True, max_attempts=1) as source:
        balancer.waiting = IDLE
        balancer._gate.clear()
        await asyncio.gather(*(source.find(f"t{number}") for number in range(IDLE)))
        balancer.forget()
        for number in range(IDLE):
            assert await source.find(f"u{number}") is not None
    assert balancer.connections == IDLE + 1
