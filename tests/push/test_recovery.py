from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ImageError, push_image, upload_layer
from aioecrpublic.errors import ConfigurationError, ServiceError
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import LayerProgress, LayerResumed, PartRetried, PushError
from aioecrpublic.push import patience as patience_module
from aioecrpublic.push.budget import MemoryBudget, budget_of
from aioecrpublic.push.destination import Destination
from aioecrpublic.push.journal import Journal
from tests.push.helpers import (
    REPOSITORY,
    Wire,
    assert_is_there,
    assert_nothing_is_open,
    assert_nothing_runs,
    connect,
    tags_of,
)
from tests.support.fault_proxy import fault_proxy
from tests.support.oci import digest_of, random_bytes, write_image

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic._runtime.hooks import SendEvent
    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage

MIB = 1024 * 1024
# Of three layers of two parts, a config, and a manifest: initiated, sent, completed, checked, put.
LEAST_REQUESTS = 3 * 4 + 3 + 2


class Before:
    """A hook that does something once, before the n-th request of an operation is sent."""

    def __init__(self, operation: str, number: int, act: Callable[[], Awaitable[None] | None]) -> None:
        self._operation = operation
        self._left = number
        self._act = act

    async def before_send(self, event: SendEvent) -> None:
        if event.operation == self._operation:
            self._left -= 1
            if self._left == 0:
                outcome = self._act()
                if outcome is not None:
                    await outcome


async def test_a_layer_that_disappears_before_the_manifest_is_brought_again(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=3)

    def lose() -> None:
        with server._opened().database.transaction() as cursor:
            cursor.run("DELETE FROM layer WHERE digest = ?", image.layers[1])

    wire = Wire()
    hooked = client.with_options(hooks=[Before("PutImage", 1, lose), wire])
    await push_image(hooked, str(tmp_path), REPOSITORY, ["1"])
    assert wire.count("InitiateLayerUpload") == 5
    assert wire.count("PutImage") == 2
    await assert_is_there(server, client, image, ["1"])


async def test_an_upload_that_the_service_forgets_begins_again(
    server: LocalECRPublic, client: ECRPublicClient
) -> None:
    data = random_bytes(16 * MIB)

    def lose() -> None:
        with server._opened().database.transaction() as cursor:
            cursor.run("DELETE FROM upload")

    events: list[PushEvent] = []
    wire = Wire()
    hooked = client.with_options(hooks=[Before("UploadLayerPart", 3, lose), wire])
    result = await upload_layer(hooked, REPOSITORY, data, part_size=5 * MIB, on_event=events.append)
    assert wire.count("InitiateLayerUpload") == 2
    assert result.retries == 1
    assert [event.first_byte for event in events if isinstance(event, PartRetried)] == [0]
    confirmed = [event.bytes_confirmed for event in events if isinstance(event, LayerProgress)]
    assert confirmed == sorted(confirmed)
    assert await server.read_blob(digest_of(data)) == data


async def test_a_layer_that_somebody_else_finishes_is_done(
    server: LocalECRPublic, client: ECRPublicClient
) -> None:
    data = random_bytes(16 * MIB)

    async def finish() -> None:
        await upload_layer(client, REPOSITORY, data)

    hooks = [Before("UploadLayerPart", 2, finish)]
    result = await upload_layer(client.with_options(hooks=hooks), REPOSITORY, data, part_size=5 * MIB)
    assert not result.uploaded
    assert await server.read_blob(digest_of(data)) == data


async def test_throttling_is_waited_out(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aioecrpublic._runtime import retry

    monkeypatch.setattr(retry, "_THROTTLING_SCALE", 0.001)
    monkeypatch.setattr(patience_module, "_FIRST_PAUSE", 0.001)
    image = write_image(tmp_path)
    with fault_proxy(int(server.endpoint_url.rpartition(":")[2])) as proxy:
        await asyncio.to_thread(proxy.plan, dict.fromkeys(range(1, 20), "throttle"))
        async with connect(server, endpoint_url=proxy.url) as through:
            result = await push_image(through, str(tmp_path), REPOSITORY, ["1"])
    assert result.retries >= 19
    await assert_is_there(server, client, image, ["1"])


async def test_what_does_not_pass_is_given_up_with_what_was_tried(
    server: LocalECRPublic, client: ECRPublicClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aioecrpublic._runtime import retry

    monkeypatch.setattr(retry, "_TRANSIENT_SCALE", 0.001)
    monkeypatch.setattr(patience_module, "_FIRST_PAUSE", 0.0001)
    with fault_proxy(int(server.endpoint_url.rpartition(":")[2])) as proxy:
        await asyncio.to_thread(proxy.plan, dict.fromkeys(range(2, 1000), "500"))
        async with connect(server, endpoint_url=proxy.url) as through:
            with pytest.raises(
                PushError, match=r"given up after 10 failures .*bytes 0-.* again after"
            ) as caught:
                await upload_layer(through, REPOSITORY, b"content")
    assert isinstance(caught.value.__cause__, ServiceError)
    assert caught.value.__cause__.status == 500


@pytest.mark.parametrize("moment", range(24))
async def test_a_push_cancelled_anywhere_leaves_nothing_and_can_be_made_again(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, moment: int
) -> None:
    image = write_image(tmp_path / "layout", layers=3, layer_size=6 * MIB)
    journal = tmp_path / "journal"
    before = asyncio.all_tasks()

    class CancelAt:
        left = moment

        async def before_send(self, event: SendEvent) -> None:
            self.left -= 1
            if self.left == 0:
                pushing.cancel()
                await asyncio.sleep(0)

    hooked = client.with_options(hooks=[CancelAt()])
    pushing = asyncio.create_task(
        push_image(hooked, str(image.directory), REPOSITORY, ["1"], journal=journal, part_size=5 * MIB)
    )
    if moment == 0:
        await asyncio.sleep(0)
        pushing.cancel()
    (outcome,) = await asyncio.gather(pushing, return_exceptions=True)
    # The latest moments lie behind the last request of the push.
    assert isinstance(outcome, asyncio.CancelledError) or moment > LEAST_REQUESTS
    await assert_nothing_runs(before)
    assert budget_of(client).used == 0
    await assert_nothing_is_open(tmp_path)
    await push_image(client, str(image.directory), REPOSITORY, ["1"], journal=journal)
    await assert_is_there(server, client, image, ["1"])
    assert not journal.exists()


async def _leave_half(client: ECRPublicClient, data: bytes, journal: Path) -> None:
    """An upload that ends in its middle, for no fault of the bytes."""

    def stop(event: PushEvent) -> None:
        if isinstance(event, LayerProgress) and event.bytes_confirmed >= 5 * MIB:
            raise LookupError

    with pytest.raises(LookupError):
        await upload_layer(client, REPOSITORY, data, part_size=5 * MIB, journal=journal, on_event=stop)
    assert journal.exists()


async def test_a_journal_continues_where_the_service_stands(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    data = random_bytes(21 * MIB)
    journal = tmp_path / "journal"
    await _leave_half(client, data, journal)
    events: list[PushEvent] = []
    result = await upload_layer(client, REPOSITORY, data, journal=journal, on_event=events.append)
    (resumed,) = [event for event in events if isinstance(event, LayerResumed)]
    assert resumed.bytes_confirmed >= 5 * MIB
    progress = [event for event in events if isinstance(event, LayerProgress)]
    assert {event.bytes_resumed for event in progress} == {resumed.bytes_confirmed}
    assert result.bytes_sent == 21 * MIB - resumed.bytes_confirmed
    assert result.retries == 0
    assert await server.read_blob(digest_of(data)) == data
    assert not journal.exists()


async def test_a_journal_of_an_upload_that_is_gone(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    data = random_bytes(11 * MIB)
    journal = tmp_path / "journal"
    await _leave_half(client, data, journal)
    with server._opened().database.transaction() as cursor:
        cursor.run("DELETE FROM upload")
    result = await upload_layer(client, REPOSITORY, data, journal=journal)
    assert result.bytes_sent == 11 * MIB
    assert await server.read_blob(digest_of(data)) == data


async def test_a_journal_that_says_more_than_the_service_has(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    data = random_bytes(11 * MIB)
    begun = await client.initiate_layer_upload(repository_name=REPOSITORY)
    async with Journal(tmp_path / "journal") as journal:
        await journal.confirm(Destination(client, REPOSITORY), digest_of(data), str(begun.upload_id), 5 * MIB)
    result = await upload_layer(client, REPOSITORY, data, journal=tmp_path / "journal")
    assert result.bytes_sent == 11 * MIB
    assert await server.read_blob(digest_of(data)) == data


async def test_a_journal_of_other_uploads_is_ignored_and_kept(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    await _leave_half(client, random_bytes(11 * MIB, seed=1), journal)
    other = random_bytes(11 * MIB, seed=2)
    events: list[PushEvent] = []
    await upload_layer(client, REPOSITORY, other, journal=journal, on_event=events.append)
    await client.create_repository(repository_name="team/other")
    await upload_layer(
        client, "team/other", random_bytes(11 * MIB, seed=1), journal=journal, on_event=events.append
    )
    async with LocalECRPublic() as elsewhere, connect(elsewhere) as another:
        await another.create_repository(repository_name=REPOSITORY)
        await upload_layer(
            another, REPOSITORY, random_bytes(11 * MIB, seed=1), journal=journal, on_event=events.append
        )
    assert not [event for event in events if isinstance(event, LayerResumed | PartRetried)]
    with contextlib.closing(sqlite3.connect(journal)) as database:
        rows = database.execute("SELECT repository FROM upload").fetchall()
    assert rows == [(REPOSITORY,)]


async def test_a_file_that_is_no_journal_is_refused_before_anything_is_sent(
    client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "layout")
    path = tmp_path / "notes"
    path.write_bytes(b"precious" * 1000)
    wire = Wire()
    pushing = push_image(
        client.with_options(hooks=[wire]), str(image.directory), REPOSITORY, ["1"], journal=path
    )
    with pytest.raises(ConfigurationError, match=f"^journal {path} is no journal of aioecrpublic"):
        await pushing
    assert wire.sent == []
    assert path.read_bytes() == b"precious" * 1000
    assert {found.name for found in tmp_path.iterdir()} == {"layout", "notes"}


async def _left_half(client: ECRPublicClient, directory: Path, journal: Path) -> BuiltImage:
    """An image of one layer, the first parts of which are at the service."""
    image = write_image(directory, layers=1, layer_size=16 * MIB)

    def stop(event: PushEvent) -> None:
        if isinstance(event, LayerProgress) and event.bytes_confirmed >= 5 * MIB:
            raise LookupError

    with pytest.raises(LookupError):
        await push_image(
            client, str(directory), REPOSITORY, ["1"], part_size=5 * MIB, journal=journal, on_event=stop
        )
    return image


def _change(path: Path, where: int) -> bytes:
    """Change one byte of a file; return what was there before."""
    good = path.read_bytes()
    changed = bytearray(good)
    changed[where] ^= 1
    path.write_bytes(changed)
    return good


async def test_a_file_that_changed_between_two_runs_where_it_is_still_to_be_sent(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    image = await _left_half(client, tmp_path / "layout", journal)
    path = image.path(image.layers[0])
    good = _change(path, -1)
    with pytest.raises(ImageError, match=f"{image.layers[0]}: its bytes have the digest"):
        await push_image(client, str(image.directory), REPOSITORY, ["1"], journal=journal)
    assert await tags_of(client) == {}
    path.write_bytes(good)
    result = await push_image(client, str(image.directory), REPOSITORY, ["1"], journal=journal)
    assert result.retries == 0, "the upload that was refused is not gone on with"
    await assert_is_there(server, client, image, ["1"])


async def test_a_file_that_changed_between_two_runs_where_it_is_sent_already(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    """The service has the right bytes, and says so of all of them in the end."""
    journal = tmp_path / "journal"
    image = await _left_half(client, tmp_path / "layout", journal)
    path = image.path(image.layers[0])
    good = _change(path, 0)
    await push_image(client, str(image.directory), REPOSITORY, ["1"], journal=journal)
    path.write_bytes(good)
    await assert_is_there(server, client, image, ["1"])


@pytest.mark.parametrize("limit", [5 * MIB, 12 * MIB])
async def test_the_budget_is_never_exceeded(
    server: LocalECRPublic,
    client: ECRPublicClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
) -> None:
    from aioecrpublic.images.blobs import FileBlob

    budgets: list[MemoryBudget] = []

    class Noted(MemoryBudget):
        def __init__(self, limit: int) -> None:
            super().__init__(limit)
            budgets.append(self)

    async def held(self: FileBlob, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._content.read_at, offset, length)

    monkeypatch.setattr("aioecrpublic.push.pusher.MemoryBudget", Noted)
    for buffered in (False, True):
        if buffered:
            # As the blobs of a registry are: in memory, as far as they were read.
            monkeypatch.setattr(FileBlob, "buffered", True)
            monkeypatch.setattr(FileBlob, "read", held)
        image = write_image(tmp_path / f"l{buffered}", layers=5, layer_size=11 * MIB, seed=buffered * 10)
        name = f"budget/b{int(buffered)}"
        await push_image(
            client, str(image.directory), name, ["1"], memory_budget=limit, jobs=5, create_repository=True
        )
        await assert_is_there(server, client, image, ["1"], name)
        (budget,) = budgets
        assert 0 < budget.peak <= limit
        assert budget.used == 0
        budgets.clear()
