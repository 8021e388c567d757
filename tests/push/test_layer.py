"""One layer's way request by request, also where a request or its reply is lost or refused."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from aioecrpublic import ECRPublicClient, ImageError, PushError
from aioecrpublic._runtime.transport import Reply
from aioecrpublic.errors import ConnectError, InvalidLayerPartException, ServiceError
from aioecrpublic.local import LocalECRPublic, Settings
from aioecrpublic.push import (
    LayerCompleted,
    LayerProgress,
    LayerResumed,
    LayerStarted,
    PartRetried,
    patience,
    sizes,
)
from aioecrpublic.push import layer as module
from aioecrpublic.push.blobs import open_blob
from aioecrpublic.push.budget import MemoryBudget
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.events import Emitter
from aioecrpublic.push.journal import Journal
from aioecrpublic.push.layer import LayerUpload, UploadOptions
from tests.push.helpers import REPOSITORY, connect, kinds
from tests.support.oci import digest_of, random_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import yarl

    from aioecrpublic._common.http import Timeouts
    from aioecrpublic._runtime.body import Body
    from aioecrpublic.push import LayerResult, PushEvent

# Four parts of ten bytes, the last of five.
DATA = random_bytes(35)
DIGEST = digest_of(DATA)
PARTS = [(0, 9), (10, 19), (20, 29), (30, 34)]
INITIATE, PART, COMPLETE = "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"
CHECK = "BatchCheckLayerAvailability"
LOST = ConnectError("the connection is lost")


@attrs.frozen
class Fault:
    """What a request ends with, and whether the registry gets it all the same."""

    outcome: Exception | tuple[int, dict[str, Any]]
    arrives: bool = False

    def end(self) -> Reply:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        status, body = self.outcome
        return Reply(status, {}, json.dumps(body).encode())


def refusal(code: str, status: int = 400, **members: object) -> tuple[int, dict[str, Any]]:
    return status, {"__type": code, "message": "no", **members}


class Between:
    """Stands between a client and the registry, notes what is sent, and lets some of it go wrong."""

    def __init__(self, client: ECRPublicClient) -> None:
        shared: Any = client._core.opened()
        self._transport, shared.transport = shared.transport, self
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.faults: dict[tuple[str, int], Fault] = {}

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.sent]

    def parts(self) -> list[tuple[int, int]]:
        return [
            (body["partFirstByte"], body["partLastByte"])
            for operation, body in self.sent
            if operation == PART
        ]

    async def send(
        self,
        url: yarl.URL,
        headers: dict[str, str],
        body: Body,
        timeouts: Timeouts,
        *,
        repeatable: bool,
    ) -> Reply:
        operation = headers["X-Amz-Target"].rpartition(".")[2]
        self.sent.append((operation, json.loads(body.read())))
        fault = self.faults.get((operation, self.operations().count(operation)))
        if fault is not None and not fault.arrives:
            return fault.end()
        reply: Reply = await self._transport.send(url, headers, body, timeouts, repeatable=repeatable)
        return reply if fault is None else fault.end()

    async def close(self) -> None:
        await self._transport.close()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalECRPublic]:
    """A registry of tiny parts."""
    monkeypatch.setattr(sizes, "SMALLEST_PART", 5)
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(module, "SHORTEST_PAUSE", 0.0)
    async with LocalECRPublic(settings=Settings(part_size=10, smallest_part=5)) as server:
        yield server


@pytest.fixture
async def client(server: LocalECRPublic) -> AsyncIterator[ECRPublicClient]:
    """A client that makes each request once."""
    async with connect(server, max_attempts=1) as client:
        await client.create_repository(repository_name=REPOSITORY)
        yield client


@pytest.fixture
def between(client: ECRPublicClient) -> Between:
    return Between(client)


@attrs.define
class Uploading:
    """An upload of ``DATA`` and what it told."""

    client: ECRPublicClient
    events: list[PushEvent] = attrs.field(factory=list)
    budget: MemoryBudget = attrs.field(factory=lambda: MemoryBudget(1000))
    stop_at: int | None = None

    def tell(self, event: PushEvent) -> None:
        self.events.append(event)
        if isinstance(event, LayerProgress) and event.bytes_confirmed == self.stop_at:
            raise LookupError

    async def run(
        self, data: bytes = DATA, *, journal: Journal | None = None, buffered: bool = False, **options: Any
    ) -> LayerResult:
        destination = Destination(self.client, REPOSITORY, options.get("registry_id"))
        digest = options.get("digest", DIGEST)
        blob = await open_blob(data, digest, destination.executor)
        blob.buffered = buffered
        upload = UploadOptions(
            part_size=options.get("part_size"),
            budget=self.budget,
            emitter=Emitter(self.tell),
            journal=journal,
        )
        try:
            return await LayerUpload(destination, blob, upload, f"blob {digest}").run()
        finally:
            assert self.budget.used == 0

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def retried(self) -> list[tuple[int, str]]:
        return [(event.first_byte, type(event.error).__name__) for event in self.of(PartRetried)]


@pytest.fixture
def uploading(client: ECRPublicClient) -> Uploading:
    return Uploading(client)


async def stored(server: LocalECRPublic) -> bool:
    return await server.read_blob(DIGEST) == DATA


@pytest.mark.parametrize("registry_id", [None, "123456789012"])
async def test_what_is_sent_and_told(
    server: LocalECRPublic, between: Between, uploading: Uploading, registry_id: str | None
) -> None:
    result = await uploading.run(registry_id=registry_id)
    where = {"repositoryName": REPOSITORY} | ({} if registry_id is None else {"registryId": registry_id})
    (initiated, *sent, completed) = between.sent
    upload_id = completed[1]["uploadId"]
    assert initiated == (INITIATE, where)
    assert sent == [
        (
            PART,
            {
                **where,
                "uploadId": upload_id,
                "partFirstByte": first,
                "partLastByte": last,
                "layerPartBlob": base64.b64encode(DATA[first : last + 1]).decode(),
            },
        )
        for first, last in PARTS
    ]
    assert completed == (COMPLETE, {**where, "uploadId": upload_id, "layerDigests": [DIGEST]})
    assert await stored(server)

    assert kinds(uploading.events) == ["LayerStarted", *["LayerProgress"] * 4, "LayerCompleted"]
    (started,), (done,) = uploading.of(LayerStarted), uploading.of(LayerCompleted)
    assert started == LayerStarted(digest=DIGEST, size=35, media_type="application/octet-stream")
    assert (done.digest, done.size) == (DIGEST, 35)
    progress = uploading.of(LayerProgress)
    assert [event.bytes_confirmed for event in progress] == [10, 20, 30, 35]
    for event in progress:
        assert (event.digest, event.size, event.bytes_resumed) == (DIGEST, 35, 0)
        assert event.bytes_confirmed <= event.bytes_sent <= 35
        assert 0 < event.elapsed < 60
    assert 0 < done.elapsed == result.elapsed < 60
    assert (result.digest, result.size, result.uploaded) == (DIGEST, 35, True)
    assert (result.bytes_sent, result.retries) == (35, 0)


async def test_progress_is_told_no_more_often_than_is_bearable(
    between: Between, uploading: Uploading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_PAUSE", 1000.0)
    await uploading.run()
    assert [event.bytes_confirmed for event in uploading.of(LayerProgress)] == [10, 35]


async def test_a_part_that_was_lost_is_sent_again(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults[PART, 2] = Fault(LOST)
    result = await uploading.run()
    assert between.parts() == [PARTS[0], PARTS[1], *PARTS[1:]]
    assert uploading.retried() == [(10, "ConnectError")]
    assert uploading.of(PartRetried)[0].digest == DIGEST
    assert (result.bytes_sent, result.retries, result.uploaded) == (45, 1, True)
    assert await stored(server)


async def test_a_part_that_is_lost_again_and_again_is_given_up(
    between: Between, uploading: Uploading
) -> None:
    for number in range(2, 30):
        between.faults[PART, number] = Fault(LOST)
    with pytest.raises(
        PushError, match=r"\(sending bytes 10-19 again after ConnectError, 10 times\); .*is lost$"
    ):
        await uploading.run()
    assert between.parts() == [PARTS[0], *[PARTS[1]] * 10]


async def test_a_part_whose_reply_was_lost_is_gone_on_behind(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults[PART, 2] = Fault(LOST, arrives=True)
    result = await uploading.run()
    assert between.parts() == [PARTS[0], PARTS[1], *PARTS[1:]]
    assert uploading.retried() == [(10, "ConnectError"), (20, "InvalidLayerPartException")]
    assert (result.bytes_sent, result.retries) == (45, 1)
    assert [event.bytes_confirmed for event in uploading.of(LayerProgress)] == [10, 20, 30, 35]
    assert await stored(server)


async def test_a_service_that_has_less_than_it_said_gets_it_again(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults[PART, 3] = Fault(refusal("InvalidLayerPartException", lastValidByteReceived=9))
    result = await uploading.run()
    assert between.parts() == [*PARTS[:3], PARTS[1], *PARTS[2:]]
    assert uploading.retried() == [(10, "InvalidLayerPartException"), (20, "InvalidLayerPartException")]
    assert result.retries == 1
    confirmed = [event.bytes_confirmed for event in uploading.of(LayerProgress)]
    assert confirmed == sorted(confirmed)
    assert await stored(server)


async def test_a_service_that_never_gets_on_is_given_up(between: Between, uploading: Uploading) -> None:
    for number in range(2, 30):
        between.faults[PART, number] = Fault(refusal("InvalidLayerPartException", lastValidByteReceived=9))
    with pytest.raises(
        PushError, match=rf"^layer {DIGEST}: given up after 10 .*going on at byte 10 after Inv"
    ):
        await uploading.run()


@pytest.mark.parametrize(
    "fault",
    [
        Fault((200, {"lastByteReceived": 7}), arrives=True),
        Fault(refusal("InvalidLayerPartException")),
        Fault(refusal("InvalidLayerPartException", lastValidByteReceived=35)),
        Fault(refusal("UploadNotFoundException")),
    ],
)
async def test_an_upload_that_is_lost_begins_again(
    server: LocalECRPublic, between: Between, uploading: Uploading, fault: Fault
) -> None:
    between.faults[PART, 2] = fault
    result = await uploading.run()
    again = [INITIATE, *[PART] * 4, COMPLETE]
    assert between.operations() == [INITIATE, PART, PART, CHECK, *again]
    assert [first for first, _ in uploading.retried()] == [0]
    assert (result.bytes_sent, result.retries, result.uploaded) == (55, 1, True)
    assert await stored(server)


async def test_an_upload_that_does_not_know_itself_is_lost(between: Between, uploading: Uploading) -> None:
    between.faults[PART, 2] = Fault(refusal("InvalidLayerPartException"))
    await uploading.run()
    (retried,) = uploading.of(PartRetried)
    upload_id = between.sent[1][1]["uploadId"]
    assert str(retried.error) == f"upload {upload_id} does not say where it stands"
    assert isinstance(retried.error.__cause__, InvalidLayerPartException)


async def test_what_is_lost_too_often_is_given_up_with_the_reason(
    between: Between, uploading: Uploading
) -> None:
    for number in range(1, 30):
        between.faults[PART, number] = Fault((200, {"lastByteReceived": 7}), arrives=True)
    complaint = r"beginning the layer again after UploadLostError.*was sent bytes 0-9 and says it has 7"
    with pytest.raises(PushError, match=complaint):
        await uploading.run()
    assert between.operations().count(INITIATE) == 10


async def test_replies_that_say_little_are_enough(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults = {
        (PART, 2): Fault((200, {}), arrives=True),
        (COMPLETE, 1): Fault((200, {}), arrives=True),
    }
    result = await uploading.run()
    assert (between.parts(), result.uploaded) == (PARTS, True)
    assert await stored(server)


async def test_an_upload_without_an_id_is_none(between: Between, uploading: Uploading) -> None:
    between.faults[INITIATE, 1] = Fault((200, {"partSize": 10}))
    with pytest.raises(PushError, match=f"^layer {DIGEST}: the service gave no upload id$"):
        await uploading.run()


async def test_a_failed_beginning_is_made_again(between: Between, uploading: Uploading) -> None:
    between.faults[INITIATE, 1] = Fault(LOST)
    result = await uploading.run()
    assert between.operations() == [INITIATE, INITIATE, *[PART] * 4, COMPLETE]
    assert result.retries == 1


@pytest.mark.parametrize("operation", [INITIATE, PART, COMPLETE])
async def test_what_trying_again_does_not_mend_is_raised(
    between: Between, uploading: Uploading, operation: str
) -> None:
    between.faults[operation, 1] = Fault(refusal("AccessDeniedException", 403))
    with pytest.raises(ServiceError, match="AccessDeniedException"):
        await uploading.run()
    assert between.operations()[-1] == operation


async def test_a_completion_that_was_lost_is_made_again(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults[COMPLETE, 1] = Fault(LOST)
    result = await uploading.run()
    assert between.operations()[-3:] == [COMPLETE, CHECK, COMPLETE]
    assert (result.uploaded, result.retries) == (True, 1)
    assert await stored(server)


async def test_completions_are_not_tried_for_ever(between: Between, uploading: Uploading) -> None:
    for number in range(1, 30):
        between.faults[COMPLETE, number] = Fault(LOST)
    with pytest.raises(PushError, match="completing again after ConnectError"):
        await uploading.run()
    assert between.operations().count(COMPLETE) == 10


@pytest.mark.parametrize("outcome", [LOST, refusal("UploadNotFoundException")])
async def test_a_completion_whose_reply_was_lost_is_one(
    server: LocalECRPublic, between: Between, uploading: Uploading, outcome: Any
) -> None:
    between.faults[COMPLETE, 1] = Fault(outcome, arrives=True)
    result = await uploading.run()
    assert between.operations()[-2:] == [COMPLETE, CHECK]
    assert result.uploaded
    assert await stored(server)


async def test_a_layer_that_is_there_before_it_is_sent_whole_is_somebody_elses(
    server: LocalECRPublic, client: ECRPublicClient, between: Between, uploading: Uploading
) -> None:
    await Uploading(client).run()
    between.faults[PART, 6] = Fault(refusal("UploadNotFoundException"))
    result = await uploading.run()
    assert between.operations()[-2:] == [PART, CHECK]
    assert not result.uploaded
    for operation in (PART, COMPLETE):
        number = between.operations().count(operation) + 1
        between.faults = {(operation, number): Fault(refusal("LayerAlreadyExistsException"))}
        assert not (await uploading.run()).uploaded


async def test_a_layer_that_is_there_after_a_lost_reply_was_brought_by_this_upload(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    between.faults[COMPLETE, 1] = Fault(LOST, arrives=True)
    # Nothing is known of the layer yet when it is asked for.
    between.faults[CHECK, 1] = Fault((200, {"layers": [], "failures": []}))
    between.faults[COMPLETE, 2] = Fault(refusal("LayerAlreadyExistsException"))
    assert (await uploading.run()).uploaded
    assert await stored(server)


async def test_the_clients_own_retry_of_a_completion_counts_too(
    server: LocalECRPublic, between: Between, uploading: Uploading
) -> None:
    uploading.client = uploading.client.with_options(max_attempts=2)
    between.faults[COMPLETE, 1] = Fault(LOST, arrives=True)
    between.faults[COMPLETE, 2] = Fault(refusal("LayerAlreadyExistsException"))
    assert (await uploading.run()).uploaded
    assert between.operations().count(COMPLETE) == 2


@pytest.mark.parametrize("code", ["EmptyUploadException", "InvalidLayerException"])
async def test_a_service_that_lost_bytes_gets_them_again(
    server: LocalECRPublic, between: Between, uploading: Uploading, code: str
) -> None:
    between.faults[COMPLETE, 1] = Fault(refusal(code))
    result = await uploading.run()
    assert between.operations().count(INITIATE) == 2
    assert uploading.retried() == [(0, code)]
    assert (result.uploaded, result.bytes_sent) == (True, 70)
    assert await stored(server)


async def test_a_digest_that_the_service_never_computes_is_given_up(
    between: Between, uploading: Uploading
) -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    with pytest.raises(PushError, match=f"^layer {digest}: its bytes have this digest, .*refused them twice"):
        await uploading.run(digest=digest)
    assert between.operations().count(INITIATE) == 2


async def test_bytes_that_are_not_the_digests_are_ours(between: Between, uploading: Uploading) -> None:
    with pytest.raises(ImageError, match=f"{DIGEST}: its bytes have the digest {digest_of(DATA[::-1])}"):
        await uploading.run(DATA[::-1])
    assert between.operations().count(INITIATE) == 1


async def test_a_layer_stored_as_another_is_an_error(between: Between, uploading: Uploading) -> None:
    other = digest_of(b"other")
    between.faults[COMPLETE, 1] = Fault((200, {"layerDigest": other}), arrives=True)
    with pytest.raises(PushError, match=f"^layer {DIGEST}: the service has stored it as {other}$"):
        await uploading.run()


async def test_empty_layers_are_refused_before_anything_is_sent(
    between: Between, uploading: Uploading
) -> None:
    with pytest.raises(ImageError, match=f"{digest_of(b'')} is empty"):
        await uploading.run(b"", digest=digest_of(b""))
    assert (between.sent, uploading.events) == ([], [])


@pytest.mark.parametrize(
    ("limit", "buffered", "wanted", "parts", "peak"),
    [
        (1000, True, None, PARTS, 20),
        (1000, False, 20, [(0, 19), (20, 34)], 35),
        (25, True, 30, [(0, 24), (25, 34)], 25),
        (35, False, 30, [(0, 29), (30, 34)], 35),
        # Not enough for one part beside another.
        (10, True, None, PARTS, 10),
        (19, True, None, PARTS, 15),
    ],
)
async def test_parts_are_as_large_as_there_is_room(
    between: Between,
    uploading: Uploading,
    limit: int,
    buffered: bool,  # noqa: FBT001 - cases
    wanted: int | None,
    parts: list[tuple[int, int]],
    peak: int,
) -> None:
    uploading.budget = MemoryBudget(limit)
    await uploading.run(part_size=wanted, buffered=buffered)
    assert between.parts() == parts
    # One part is made ready while another is sent.
    assert uploading.budget.peak == peak


def rows(path: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT upload_id, confirmed FROM upload").fetchall()


async def left_behind(uploading: Uploading, path: Path, confirmed: int) -> None:
    """An upload that ended when so much was confirmed, for no fault of its own."""
    uploading.stop_at = confirmed
    async with Journal(path) as journal:
        with pytest.raises(LookupError):
            await uploading.run(journal=journal)
    uploading.stop_at = None
    uploading.events.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def test_the_journal_knows_what_is_confirmed(
    between: Between, uploading: Uploading, path: Path
) -> None:
    await left_behind(uploading, path, 20)
    (upload_id,) = {body["uploadId"] for operation, body in between.sent if operation == PART}
    assert rows(path) == [(upload_id, 20)]


async def test_an_upload_is_gone_on_with(
    server: LocalECRPublic, between: Between, uploading: Uploading, path: Path
) -> None:
    await left_behind(uploading, path, 20)
    between.sent.clear()
    async with Journal(path) as journal:
        result = await uploading.run(journal=journal)
    # The first is from beyond the layer: the answer tells where the upload stands.
    assert between.operations() == [PART, PART, PART, PART, COMPLETE]
    # What the service asks for is not known any more.
    assert between.parts() == [(36, 36), (20, 24), (25, 29), (30, 34)]
    assert uploading.of(LayerResumed) == [LayerResumed(digest=DIGEST, bytes_confirmed=20)]
    assert {event.bytes_resumed for event in uploading.of(LayerProgress)} == {20}
    assert (result.bytes_sent, result.retries, result.uploaded) == (15, 0, True)
    assert not path.exists()
    assert await stored(server)


@pytest.mark.parametrize(("noted", "sent"), [(10, 20), (20, 10)])
async def test_the_service_knows_better_than_the_journal(
    server: LocalECRPublic,
    client: ECRPublicClient,
    between: Between,
    uploading: Uploading,
    path: Path,
    noted: int,
    sent: int,
) -> None:
    await left_behind(uploading, path, sent)
    upload_id = between.sent[-1][1]["uploadId"]
    between.sent.clear()
    where = {"repositoryName": REPOSITORY, "registryId": "123456789012"}
    async with Journal(path) as journal:
        await journal.confirm(Destination(client, REPOSITORY, "123456789012"), DIGEST, upload_id, noted)
        await uploading.run(journal=journal, registry_id="123456789012")
        await journal.forget(Destination(client, REPOSITORY), DIGEST)
    asked = {"uploadId": upload_id, "partFirstByte": 36, "partLastByte": 36, "layerPartBlob": "AA=="}
    assert between.sent[0] == (PART, {**where, **asked})
    assert between.parts()[1][0] == sent
    assert [event.bytes_confirmed for event in uploading.of(LayerResumed)] == [sent]
    assert await stored(server)


@pytest.mark.parametrize(
    ("fault", "first", "last"),
    [
        # What it stands at is not known: the journal's word is as good.
        (Fault(LOST), 20, 24),
        (Fault(refusal("ServerException", 500)), 20, 24),
        (Fault(refusal("InvalidLayerPartException")), 20, 24),
        # It cannot be gone on with.
        (Fault(refusal("UploadNotFoundException")), 0, 9),
        (Fault((200, {})), 0, 9),
    ],
)
async def test_an_upload_that_does_not_say_where_it_stands(
    server: LocalECRPublic,
    between: Between,
    uploading: Uploading,
    path: Path,
    fault: Fault,
    first: int,
    last: int,
) -> None:
    await left_behind(uploading, path, 20)
    between.sent.clear()
    between.faults[PART, 1] = fault
    async with Journal(path) as journal:
        result = await uploading.run(journal=journal)
    assert between.parts()[1] == (first, last)
    assert between.operations().count(INITIATE) == (first == 0)
    assert [event.bytes_confirmed for event in uploading.of(LayerResumed)] == ([] if first == 0 else [first])
    assert (result.uploaded, result.bytes_sent) == (True, 35 - first)
    assert await stored(server)


async def test_a_journal_of_more_than_the_layer_is_not_believed(
    client: ECRPublicClient, between: Between, uploading: Uploading, path: Path
) -> None:
    async with Journal(path) as journal:
        await journal.confirm(Destination(client, REPOSITORY), DIGEST, "x" * 36, 36)
        await uploading.run(journal=journal)
    assert between.operations() == [INITIATE, *[PART] * 4, COMPLETE]


async def test_an_upload_that_is_whole_but_for_its_completion(
    server: LocalECRPublic, between: Between, uploading: Uploading, path: Path
) -> None:
    await left_behind(uploading, path, 35)
    between.sent.clear()
    async with Journal(path) as journal:
        result = await uploading.run(journal=journal)
    assert between.operations() == [PART, COMPLETE]
    assert (result.bytes_sent, result.uploaded) == (0, True)
    assert await stored(server)


async def test_bytes_that_are_wrong_are_not_gone_on_with(
    between: Between, uploading: Uploading, path: Path
) -> None:
    async with Journal(path) as journal:
        with pytest.raises(ImageError):
            await uploading.run(DATA[::-1], journal=journal)
    assert not path.exists()
