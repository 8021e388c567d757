"""The client as its users hold it: life, options, requests, paginators, waiters, hooks, logs."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gc
import io
import logging
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import uvloop

from aioecrpublic import Credentials, ECRPublicClient, ServiceError, ValidationError
from aioecrpublic._runtime.body import SLICE, SMALL
from aioecrpublic.errors import (
    BrokenReplyError,
    ClientStateError,
    ConfigurationError,
    ECRPublicError,
    RepositoryNotFoundException,
    TimeoutError,  # noqa: A004 - the package's own
    WaiterError,
)
from aioecrpublic.images import ImageError
from aioecrpublic.types import (
    BlobReader,
    DescribeImagesRequest,
    DescribeRepositoriesRequest,
    DescribeRepositoriesResponse,
    ErrorEvent,
    ImageIdentifier,
    ResponseEvent,
    RetryEvent,
    SendEvent,
)
from tests.support import oracle
from tests.support.wire import Received, Wire, answer, error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET, TOKEN = "wJalrXUtnFEMI-SECRET", "FwoGZXIvYXdzE-SESSION"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET, TOKEN)
SLICES = -(-1024 * 1024 // SLICE)
UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with Wire() as server:
        yield server


@pytest.fixture
async def client(wire: Wire) -> AsyncIterator[ECRPublicClient]:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, rate_limits=False) as made:
        yield made


# Life


async def test_a_client_that_is_not_open_says_so(wire: Wire) -> None:
    client = ECRPublicClient("us-east-1", wire.url, CREDENTIALS)
    with pytest.raises(ClientStateError, match="not open: use 'async with'"):
        await client.describe_registries()
    with pytest.raises(ClientStateError, match="not open"):
        client.endpoint_url  # noqa: B018 - reading it is the test
    assert "not open" in repr(client)


async def test_a_closed_client_says_so(wire: Wire) -> None:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
        derived = client.with_options(max_attempts=1)
        await client.describe_registries()
    for closed in (client, derived):
        with pytest.raises(ClientStateError, match="closed"):
            await closed.describe_registries()
        with pytest.raises(ClientStateError, match="closed"):
            await closed.open()
    await client.close()
    assert "closed" in repr(client)


async def test_opening_twice_is_opening_once(wire: Wire) -> None:
    client = ECRPublicClient("us-east-1", wire.url, CREDENTIALS)
    await asyncio.gather(client.open(), client.open())
    await client.describe_registries()
    await client.close()


async def test_closing_while_it_opens_leaves_nothing_open(
    wire: Wire, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    client = ECRPublicClient("us-east-1", wire.url, CREDENTIALS)
    opening = asyncio.create_task(client.open())
    await asyncio.sleep(0)
    await client.close()
    await asyncio.wait([opening])
    with pytest.raises(ClientStateError, match="closed"):
        await client.describe_registries()


async def test_a_session_of_the_users_is_used_and_left_open(wire: Wire) -> None:
    async with aiohttp.ClientSession(raise_for_status=True, headers={"X-Mine": "1"}) as session:
        async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, session=session) as client:
            await client.describe_registries()
            wire.answers = [error("RepositoryNotFoundException")]
            with pytest.raises(RepositoryNotFoundException):
                await client.delete_repository(repository_name="ab")
        assert not session.closed
        async with session.post(wire.url, data=b"{}") as response:
            assert response.status == 200
    assert wire.requests[0].headers["X-Mine"] == "1"
    assert wire.requests[0].headers["User-Agent"].startswith("aioecrpublic/")
    assert "Accept-Encoding" not in wire.requests[0].headers


async def test_a_session_that_would_identify_to_every_host_is_refused(wire: Wire) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp's, which goes with its version 4
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("someone", "secret"))
    async with session:
        with pytest.raises(ConfigurationError, match="session must have no auth of its own"):
            await ECRPublicClient("us-east-1", wire.url, CREDENTIALS, session=session).open()
    assert not wire.requests


async def test_a_session_that_was_closed_says_so(wire: Wire) -> None:
    session = aiohttp.ClientSession()
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, session=session) as client:
        await session.close()
        with pytest.raises(ClientStateError, match="connections are closed"):
            await client.describe_registries()


async def test_many_clients_live_side_by_side(wire: Wire) -> None:
    clients = [ECRPublicClient("us-east-1", wire.url, CREDENTIALS) for _ in range(20)]
    await asyncio.gather(*(client.open() for client in clients))
    await asyncio.gather(*(client.describe_registries() for client in clients))
    await asyncio.gather(*(client.close() for client in clients))
    assert len(wire.requests) == 20


def test_it_works_under_uvloop() -> None:
    async def main() -> None:
        async with Wire() as wire, ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
            await client.describe_registries()
            await upload(client, os.urandom(SLICE + 7))
            wire.answers = [answer(status=503)]
            assert (await client.describe_registries()).metadata.attempts == 2

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


# Cancellation


async def upload(client: ECRPublicClient, blob: Any) -> Any:
    return await client.upload_layer_part(
        repository_name="app",
        upload_id=UPLOAD,
        part_first_byte=0,
        part_last_byte=len(blob) - 1,
        layer_part_blob=blob,
    )


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as cheap as can be


class SlowlyFound:
    """Credentials of the user's own making, which are asked for each call and take their time."""

    def get_frozen_credentials(self) -> Any:
        time.sleep(0.002)
        return oracle.credentials.ReadOnlyCredentials("AKIDEXAMPLE", SECRET, TOKEN)


class Yielding:
    """A hook that lets others run wherever it is told something."""

    async def before_send(self, event: SendEvent, /) -> None:
        await asyncio.sleep(0)

    async def on_retry(self, event: RetryEvent, /) -> None:
        await asyncio.sleep(0)

    async def after_response(self, event: ResponseEvent, /) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("stage", ["small", "blob", "retry", "paced", "credentials", "hooked"])
async def test_cancelling_anywhere_leaks_nothing(wire: Wire, stage: str) -> None:
    """Cancel after 0, 1, 2, … turns of the loop, until a call gets through before its cancellation."""

    async def slow(_: Received) -> bytes:
        await asyncio.sleep(0)
        return answer(status=503 if stage in {"retry", "hooked"} else 200)

    wire.default = answer()
    limits: Any = {"DescribeRegistries": 1000.0} if stage == "paced" else False
    credentials: Any = SlowlyFound() if stage == "credentials" else CREDENTIALS
    hooks = [Yielding()] if stage == "hooked" else []
    async with ECRPublicClient("us-east-1", wire.url, credentials, rate_limits=limits, hooks=hooks) as client:
        blob = os.urandom(3 * SLICE)
        call = (lambda: upload(client, blob)) if stage == "blob" else client.describe_registries
        await call()
        gc.collect()
        tasks, files = len(asyncio.all_tasks()), open_files()
        turns, finished = 0, False
        while not finished and turns < 400:
            wire.answers = [slow]
            task: asyncio.Task[Any] = asyncio.create_task(call())
            for _ in range(turns):
                await asyncio.sleep(0)
            finished = task.done()
            task.cancel()
            await asyncio.wait([task])
            turns += 1 if turns < 40 else 25
        assert turns > 3
        await settle(lambda: len(asyncio.all_tasks()) <= tasks + wire.open_connections)
        assert (await client.describe_registries()).metadata.status == 200
    await settle(lambda: wire.open_connections == 0)
    assert open_files() <= files
    await settle(lambda: not [t for t in threading.enumerate() if t.name.startswith("aioecrpublic")])


async def test_opening_can_be_cancelled_anywhere(
    wire: Wire, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with ECRPublicClient(endpoint_url="https://127.0.0.1:1", credentials=CREDENTIALS):
        gc.collect()
    tasks, files, turns, opened = len(asyncio.all_tasks()), open_files(), 0, False
    while not opened and turns < 1_000_000:
        client = ECRPublicClient(endpoint_url="https://127.0.0.1:1", credentials=CREDENTIALS)
        task = asyncio.create_task(client.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opened = task.done()
        task.cancel()
        await asyncio.wait([task])
        # What was given up can be tried again, or closed.
        if turns % 2:
            await client.open()
            assert client.region == "us-west-2"
        await client.close()
        turns = turns + 1 if turns < 8 else 2 * turns
    assert opened
    await settle(lambda: len(asyncio.all_tasks()) <= tasks)
    await settle(lambda: open_files() <= files)
    await settle(lambda: not [t for t in threading.enumerate() if t.name.startswith("aioecrpublic")])


async def settle(holds: Any) -> None:
    """Wait for what other tasks and threads still have to do."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not settle")


async def test_closing_ends_calls_that_are_under_way(wire: Wire) -> None:
    async def never(_: Received) -> bytes:
        await asyncio.sleep(60)
        raise AssertionError

    wire.answers = [never]
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
        task = asyncio.create_task(client.describe_registries())
        await settle(lambda: wire.requests)
    with pytest.raises(ECRPublicError):
        await task


async def test_closing_ends_calls_that_wait_for_a_thread(wire: Wire) -> None:
    gate = threading.Event()

    class Held(Slow):
        def read_at(self, offset: int, length: int, /) -> bytes:
            gate.wait(10)
            return super().read_at(offset, length)

    readers = [Held() for _ in range(20)]
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, rate_limits=False) as client:
        tasks = [asyncio.create_task(upload(client, reader)) for reader in readers]
        await asyncio.sleep(0.01)
    gate.set()
    await asyncio.wait(tasks)
    assert not [task for task in tasks if task.cancelled()]
    assert {type(task.exception()) for task in tasks} == {ClientStateError}


# Options and requests


async def test_derived_clients_share_the_connections_and_close_nothing(wire: Wire) -> None:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, max_connections=1) as client:
        async with client.with_options(read_timeout=5, user_agent_extra="mine/1 (x)") as derived:
            await derived.describe_registries()
            await client.describe_registries()
        await client.describe_registries()
        assert derived.endpoint_url == client.endpoint_url == wire.url
    assert wire.connections == 1
    assert wire.requests[0].headers["User-Agent"].endswith(" mine/1 -x-")
    assert "mine" not in wire.requests[1].headers["User-Agent"]


def test_options_stay_unless_they_are_changed(client: ECRPublicClient) -> None:
    derived = client.with_options(read_timeout=7, max_attempts=9).with_options(connect_timeout=2)
    options = derived._resolve_options()
    assert (options.timeouts.read, options.timeouts.connect, options.max_attempts) == (7, 2, 9)
    assert client._resolve_options().max_attempts == 3


async def test_a_request_object_can_be_sent(client: ECRPublicClient, wire: Wire) -> None:
    response = await client.send(DescribeRepositoriesRequest(max_results=3))
    assert isinstance(response, DescribeRepositoriesResponse)
    assert (wire.requests[0].operation, wire.requests[0].json) == ("DescribeRepositories", {"maxResults": 3})
    with pytest.raises(TypeError, match="ImageIdentifier is not a request of ECR PUBLIC"):
        await client.send(ImageIdentifier())  # type: ignore[arg-type]


async def test_metadata_is_beside_the_response(client: ECRPublicClient) -> None:
    one, two = await client.describe_registries(), await client.describe_registries()
    assert one.metadata.request_id == "0123-4567"
    assert one.metadata.attempts == 1
    assert one == two
    assert "metadata" not in repr(one)


# Blobs


class Slow:
    """A reader of 1 MiB that counts, and fails when told to."""

    def __init__(self, size: int = 1024 * 1024) -> None:
        self.data = os.urandom(size)
        self.threads: set[threading.Thread] = set()
        self.fail_at: int | None = None
        self.reads = 0

    def __len__(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int, /) -> bytes:
        self.reads += 1
        self.threads.add(threading.current_thread())
        if self.fail_at is not None and self.reads >= self.fail_at:
            raise ImageError("layer.tar: it is shorter than it was")
        return self.data[offset : offset + length]


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, SMALL, SMALL + 1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, 700_001]
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, "reader"])
async def test_blobs_arrive_as_they_are(client: ECRPublicClient, wire: Wire, size: int, kind: Any) -> None:
    reader = Slow(size)
    blob = reader if kind == "reader" else kind(reader.data)
    assert isinstance(reader, BlobReader)
    await client.with_options(validate=False).upload_layer_part(
        repository_name="app", upload_id=UPLOAD, part_first_byte=0, part_last_byte=1, layer_part_blob=blob
    )
    assert base64.b64decode(wire.requests[0].json["layerPartBlob"]) == reader.data


@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 1024 * 1024])
async def test_readers_are_read_off_the_loop(client: ECRPublicClient, size: int) -> None:
    reader = Slow(size)
    await upload(client, reader)
    assert reader.threads
    assert threading.main_thread() not in reader.threads


@pytest.mark.parametrize("fail_at", [1, SLICES, SLICES + 1, 2 * SLICES])
async def test_a_reader_that_fails_ends_the_call_with_its_own_error(
    client: ECRPublicClient, wire: Wire, fail_at: int
) -> None:
    reader = Slow()
    reader.fail_at = fail_at
    with pytest.raises(ImageError, match="shorter than it was"):
        await upload(client, reader)
    assert reader.reads <= fail_at + 1
    assert wire.requests == []
    reader.fail_at = None
    await upload(client, reader)


async def test_a_reader_that_gives_less_is_an_error(client: ECRPublicClient) -> None:
    class Short(Slow):
        def read_at(self, offset: int, length: int, /) -> bytes:
            return super().read_at(offset, length)[:-1]

    with pytest.raises(ValidationError, match=rf"Short: read_at\(0, {SLICE}\) gave {SLICE - 1} bytes"):
        await upload(client, Short())


async def test_a_peer_that_takes_nothing_is_a_timeout() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    async with ECRPublicClient(
        "us-east-1", f"http://127.0.0.1:{port}", CREDENTIALS, read_timeout=0.2, max_attempts=1
    ) as client:
        with pytest.raises(TimeoutError):
            await upload(client, bytes(20_000_000))
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
        await asyncio.wait([task])


async def test_a_retried_blob_is_the_same(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [answer(status=503)]
    blob = os.urandom(400_000)
    response = await upload(client, blob)
    assert response.metadata.attempts == 2
    first, second = wire.requests
    assert first.body == second.body


async def test_a_large_manifest_is_encoded_off_the_loop(client: ECRPublicClient, wire: Wire) -> None:
    manifest = '{"a": "é\\u0000"}' + " " * 3_000_000
    await client.put_image(repository_name="app", image_manifest=manifest)
    assert wire.requests[0].json["imageManifest"] == manifest


# Paginators


def pages(*tokens: str | None) -> list[Any]:
    return [
        answer(
            {
                "repositories": [{"repositoryName": f"r{number}-{item}"} for item in range(2)],
                "nextToken": token,
            }
        )
        for number, token in enumerate(tokens)
    ]


async def test_items_come_page_after_page(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = pages("t1", "t2", None)
    paginator = client.paginate_describe_repositories(max_results=2)
    names = [repository.repository_name async for repository in paginator]
    assert names == ["r0-0", "r0-1", "r1-0", "r1-1", "r2-0", "r2-1"]
    assert [request.json for request in wire.requests] == [
        {"maxResults": 2},
        {"nextToken": "t1", "maxResults": 2},
        {"nextToken": "t2", "maxResults": 2},
    ]


async def test_pages_can_be_had_and_started_anywhere(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = pages("t6", None)
    paginator = client.paginate_describe_repositories(next_token="t5")
    assert [page.next_token async for page in paginator.pages()] == ["t6", None]
    assert wire.requests[0].json == {"nextToken": "t5"}


@pytest.mark.parametrize(
    ("limit", "items", "calls"), [(None, 6, 3), (0, 0, 0), (1, 1, 1), (2, 2, 1), (3, 3, 2), (9, 6, 3)]
)
async def test_collecting_fetches_no_more_than_it_needs(
    client: ECRPublicClient, wire: Wire, limit: int | None, items: int, calls: int
) -> None:
    wire.answers = pages("t1", "t2", None)
    assert len(await client.paginate_describe_repositories().collect(limit=limit)) == items
    assert len(wire.requests) == calls


async def test_a_paginator_can_be_walked_again(client: ECRPublicClient, wire: Wire) -> None:
    paginator = client.paginate_describe_repositories()
    wire.answers = pages("t1", None) + pages(None)
    assert (len(await paginator.collect()), len(await paginator.collect())) == (4, 2)
    with pytest.raises(ValueError, match="limit is -1"):
        await paginator.collect(limit=-1)


@pytest.mark.parametrize("tokens", [("t1", "t1"), ("t1", "t2", "t1")])
async def test_a_repeated_token_does_not_go_round_for_ever(
    client: ECRPublicClient, wire: Wire, tokens: tuple[str, ...]
) -> None:
    wire.answers = pages(*tokens)
    with pytest.raises(BrokenReplyError, match="the same page token twice"):
        await client.paginate_describe_repositories().collect()
    assert len(wire.requests) == len(tokens)


async def test_a_first_token_that_comes_back_is_noticed(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = pages("t1")[0]
    with pytest.raises(BrokenReplyError):
        await client.paginate_describe_repositories(next_token="t1").collect()
    assert len(wire.requests) == 1


# Waiters


async def test_waiting_for_a_repository(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [error("RepositoryNotFoundException")] * 2
    wire.default = answer({"repositories": [{"repositoryName": "app"}]})
    found = await client.wait_until_repository_exists(repository_name="app", poll_interval=0.001)
    assert found.repository_name == "app"
    assert len(wire.requests) == 3


async def test_waiting_for_an_image(client: ECRPublicClient, wire: Wire) -> None:
    wire.answers = [
        error("RepositoryNotFoundException"),
        error("ImageNotFoundException"),
        answer({"imageDetails": []}),
    ]
    wire.default = answer({"imageDetails": [{"imageDigest": "sha256:1"}]})
    found = await client.wait_until_image_exists(repository_name="app", image_tag="1", poll_interval=0.001)
    assert found.image_digest == "sha256:1"
    assert wire.requests[0].json["imageIds"] == [{"imageTag": "1"}]


async def test_waiting_comes_to_an_end(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = error("ImageNotFoundException")
    with pytest.raises(WaiterError, match=r"image 'v1' in 'app' did not come within 0\.01 s") as caught:
        await client.wait_until_image_exists(
            repository_name="app", image_tag="v1", timeout=0.01, poll_interval=0.004
        )
    assert isinstance(caught.value.__cause__, ServiceError)
    assert isinstance(caught.value, asyncio.TimeoutError)


async def test_waiting_does_not_hide_other_errors(client: ECRPublicClient, wire: Wire) -> None:
    wire.default = error("InvalidParameterException")
    with pytest.raises(ServiceError, match="InvalidParameterException"):
        await client.wait_until_repository_exists(repository_name="app")
    with pytest.raises(ValidationError, match="image_tag or image_digest is required"):
        await client.wait_until_image_exists(repository_name="app")


# Hooks


class Recorder:
    def __init__(self) -> None:
        self.events: list[Any] = []

    async def before_send(self, event: SendEvent, /) -> None:
        self.events.append(event)
        event.headers["x-trace-id"] = f"trace-{event.attempt}"
        event.headers["user-agent"] = "hooked"

    async def after_response(self, event: ResponseEvent, /) -> None:
        self.events.append(event)

    async def on_retry(self, event: RetryEvent, /) -> None:
        self.events.append(event)

    async def on_error(self, event: ErrorEvent, /) -> None:
        self.events.append(event)


async def test_hooks_are_told_and_may_add_headers(client: ECRPublicClient, wire: Wire) -> None:
    recorder = Recorder()
    hooked = client.with_options(hooks=[recorder])
    wire.answers = [answer(status=503)]
    response = await hooked.describe_registries()
    kinds = [type(event).__name__ for event in recorder.events]
    assert kinds == ["SendEvent", "RetryEvent", "SendEvent", "ResponseEvent"]
    assert recorder.events[-1].response is response
    assert recorder.events[1].error.status == 503
    assert [request.headers["X-Trace-Id"] for request in wire.requests] == ["trace-1", "trace-2"]
    assert wire.requests[0].headers.getall("User-Agent") == ["hooked"]
    assert ";x-trace-id," in wire.requests[0].headers["Authorization"]


async def test_hooks_are_told_of_errors_once(client: ECRPublicClient, wire: Wire) -> None:
    recorder = Recorder()
    hooked = client.with_options(hooks=[recorder])
    wire.default = error("RepositoryNotFoundException")
    with pytest.raises(RepositoryNotFoundException) as caught:
        await hooked.delete_repository(repository_name="app")
    with pytest.raises(ValidationError):
        await hooked.delete_repository(repository_name="A")
    errors = [event for event in recorder.events if isinstance(event, ErrorEvent)]
    assert [event.operation for event in errors] == ["DeleteRepository", "DeleteRepository"]
    assert errors[0].error is caught.value
    assert errors[0].elapsed > 0


async def test_what_a_hook_raises_ends_the_call(client: ECRPublicClient, wire: Wire) -> None:
    class Refusing:
        async def before_send(self, event: SendEvent, /) -> None:
            raise PermissionError(event.operation)

    with pytest.raises(PermissionError, match="DescribeRegistries"):
        await client.with_options(hooks=[Refusing()]).describe_registries()
    assert wire.requests == []


# Secrets


async def test_no_secret_is_in_any_record_or_repr(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    caplog.set_level(1)
    token = base64.b64encode(b"AWS:the-password").decode()
    data = {
        "authorizationData": {"authorizationToken": token, "expiresAt": dt.datetime.now(dt.UTC).timestamp()}
    }
    recorder = Recorder()
    shown: list[object] = [CREDENTIALS]
    try:
        async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, hooks=[recorder]) as client:
            wire.answers = [answer(status=503), answer(data)]
            response = await client.get_authorization_token()
            assert response.authorization_data is not None
            assert response.authorization_data.authorization_token == token
            wire.answers = [error("InvalidSignatureException", status=403)]
            with pytest.raises(ServiceError) as caught:
                await client.describe_images(repository_name="app")
            shown += [client, client._core, client._options, client._resolve_options(), client._core._shared]
            shown += [client._core.opened().router.signer._key]
            shown += [response, response.authorization_data, caught.value, *recorder.events]
            shown += [
                client._new_call(
                    client.service.operations["DescribeImages"], DescribeImagesRequest(repository_name="app")
                )
            ]
    finally:
        logging.getLogger().removeHandler(handler)
    assert "attempt 1 failed" in stream.getvalue()
    signatures = [request.headers["Authorization"].rpartition("=")[2] for request in wire.requests]
    text = "\n".join([stream.getvalue(), *map(repr, shown), *map(str, shown), *map(repr, caplog.records)])
    for secret in (SECRET, TOKEN, token, "the-password", *signatures):
        assert secret not in text


async def test_a_token_that_the_service_repeats_is_not_shown(client: ECRPublicClient, wire: Wire) -> None:
    message = f"The Canonical String should have been 'POST\\n/\\nx-amz-security-token:{TOKEN}\\n'"
    wire.default = answer({"__type": "SignatureDoesNotMatch", "message": message}, status=403)
    with pytest.raises(ServiceError, match="x-amz-security-token:") as caught:
        await client.describe_registries()
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.message}"


# Rate limits


async def test_published_quotas_pace_and_are_shared(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS) as client:
        limits = client._core.opened().limits
        assert client.with_options(max_attempts=1)._core.opened().limits is limits
        paced = {name for name in client.service.operations if limits.pace(name)}
    assert paced == {
        "BatchCheckLayerAvailability",
        "CompleteLayerUpload",
        "GetAuthorizationToken",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    }


@pytest.mark.parametrize(
    ("rate_limits", "paced"),
    [
        (False, set()),
        ({"PutImage": None}, {"InitiateLayerUpload"}),
        ({"DescribeImages": 3.0}, {"PutImage", "DescribeImages"}),
    ],
)
async def test_rate_limits_can_be_chosen(wire: Wire, rate_limits: Any, paced: set[str]) -> None:
    async with ECRPublicClient("us-east-1", wire.url, CREDENTIALS, rate_limits=rate_limits) as client:
        limits = client._core.opened().limits
        assert all(limits.pace(name) for name in paced)
        if rate_limits is False or "PutImage" in rate_limits:
            assert limits.pace("PutImage") is None
