from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import PushError, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.state import Settings
from aioecrpublic.push import (
    LayerProgress,
    LayerSkipped,
    ManifestPut,
    PushCompleted,
    PushStarted,
    upload_layer,
)
from aioecrpublic.push.events import SHORTEST_PAUSE
from aioecrpublic.push.journal import Journal
from tests.push.helpers import (
    REPOSITORY,
    Wire,
    assert_in_order,
    assert_is_there,
    assert_nothing_is_open,
    assert_nothing_runs,
    connect,
    kinds,
    small_parts,
    tags_of,
)
from tests.support.oci import random_bytes, write_image, write_index

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.push import PushEvent
    from aioecrpublic.push.destination import Destination
    from aioecrpublic.types import SendEvent

MIB = 1024 * 1024


async def test_events_tell_the_whole_story_in_order(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_index(tmp_path, layer_size=11 * MIB)
    events: list[PushEvent] = []
    result = await push_image(
        client, str(tmp_path), REPOSITORY, ["a", "b"], part_size=5 * MIB, on_event=events.append
    )
    blobs = {*image.layers, *image.configs}
    assert isinstance(events[0], PushStarted)
    assert (events[0].digest, events[0].layers) == (image.digest, len(blobs))
    assert events[0].total_bytes == result.bytes_uploaded
    assert isinstance(events[-1], PushCompleted)
    assert events[-1].result == result
    puts = [(event.digest, event.tag) for event in events if isinstance(event, ManifestPut)]
    assert puts[-2:] == [(image.digest, "a"), (image.digest, "b")]
    assert {digest for digest, tag in puts if tag is None} == set(image.manifests) - {image.digest}
    progress = [event for event in events if isinstance(event, LayerProgress)]
    assert {event.digest for event in progress} == blobs
    assert_in_order(events)


@pytest.mark.parametrize("pause", [0.0, 0.03])
@pytest.mark.parametrize("latency", [0.0, 0.15])
async def test_a_resumed_layer_never_runs_backwards_however_slow_the_service_is(
    tmp_path: Path, latency: float, pause: float
) -> None:
    image = write_image(tmp_path / "layout", layers=2, layer_size=11 * MIB)
    options = {"part_size": 5 * MIB, "journal": tmp_path / "journal"}

    def stop(event: PushEvent) -> None:
        if isinstance(event, LayerProgress) and 5 * MIB <= event.bytes_confirmed < 11 * MIB:
            raise LookupError

    events: list[PushEvent] = []

    async def tell(event: PushEvent) -> None:
        await asyncio.sleep(pause)
        events.append(event)

    async with LocalECRPublic(latency=latency) as server, connect(server) as client:
        await client.create_repository(repository_name=REPOSITORY)
        with pytest.raises(LookupError):
            await push_image(client, str(image.directory), REPOSITORY, ["1"], on_event=stop, **options)  # type: ignore[arg-type]
        await push_image(client, str(image.directory), REPOSITORY, ["1"], on_event=tell, **options)  # type: ignore[arg-type]
        await assert_is_there(server, client, image, ["1"])
    assert "LayerResumed" in kinds(events)
    assert_in_order(events)


async def test_a_layer_that_is_there_has_its_end_before_the_manifests(
    client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write_image(tmp_path / "layout", layers=3)
    await push_image(client, str(image.directory), REPOSITORY)
    forget = Journal.forget

    async def forget_slowly(self: Journal, destination: Destination, digest: str) -> None:
        await asyncio.sleep(0.1)
        await forget(self, destination, digest)

    monkeypatch.setattr(Journal, "forget", forget_slowly)
    events: list[PushEvent] = []
    await push_image(
        client, str(image.directory), REPOSITORY, ["1"], journal=tmp_path / "journal", on_event=events.append
    )
    assert kinds(events) == ["PushStarted", *["LayerSkipped"] * 4, "ManifestPut", "PushCompleted"]
    assert_in_order(events)


async def test_a_fast_upload_tells_its_progress_no_more_often_than_a_bar_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_parts(monkeypatch, 1000)
    events: list[PushEvent] = []
    wire = Wire()
    registry = LocalECRPublic(settings=Settings(part_size=1000, smallest_part=1000))
    async with registry as server, connect(server, hooks=[wire]) as client:
        await client.create_repository(repository_name=REPOSITORY)
        await upload_layer(client, REPOSITORY, random_bytes(300_000), on_event=events.append)
    assert wire.count("UploadLayerPart") == 300
    *progress, last = [event for event in events if isinstance(event, LayerProgress)]
    assert last.bytes_confirmed == 300_000
    assert all(later.elapsed - earlier.elapsed >= SHORTEST_PAUSE for earlier, later in pairwise(progress))


def test_rate_and_eta() -> None:
    event = LayerProgress(digest="d", size=100, bytes_confirmed=10, bytes_sent=20, elapsed=2.0)
    assert (event.rate, event.eta) == (10.0, 8.0)
    resumed = LayerProgress(
        digest="d", size=100, bytes_confirmed=60, bytes_sent=70, elapsed=2.0, bytes_resumed=50
    )
    assert (resumed.rate, resumed.eta) == (10.0, 3.0)
    fresh = LayerProgress(digest="d", size=100, bytes_confirmed=0, bytes_sent=0, elapsed=0.0)
    assert (fresh.rate, fresh.eta) == (0.0, None)


async def test_an_async_callback_is_told_one_event_at_a_time(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=4, layer_size=6 * MIB)
    inside = 0
    events: list[PushEvent] = []

    async def tell(event: PushEvent) -> None:
        nonlocal inside
        inside += 1
        await asyncio.sleep(0.001)
        assert inside == 1
        inside -= 1
        events.append(event)

    await push_image(client, str(tmp_path), REPOSITORY, ["1"], part_size=5 * MIB, on_event=tell)
    assert kinds(events)[0] == "PushStarted"
    assert kinds(events)[-1] == "PushCompleted"
    assert kinds(events).count("LayerCompleted") == 5
    await assert_is_there(server, client, image, ["1"])


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "kind", ["PushStarted", "LayerStarted", "LayerProgress", "LayerCompleted", "ManifestPut", "PushCompleted"]
)
async def test_a_callback_that_raises_ends_the_push_cleanly(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, kind: str, *, asynchronous: bool
) -> None:
    image = write_index(tmp_path, layer_size=6 * MIB)
    before = asyncio.all_tasks()

    def tell(event: PushEvent) -> None:
        if type(event).__name__ == kind:
            raise LookupError(kind)

    async def tell_later(event: PushEvent) -> None:
        await asyncio.sleep(0)
        tell(event)

    with pytest.raises(LookupError, match=kind):
        await push_image(
            client, str(tmp_path), REPOSITORY, ["1"], on_event=tell_later if asynchronous else tell
        )
    await assert_nothing_runs(before)
    await assert_nothing_is_open(tmp_path)
    await push_image(client, str(tmp_path), REPOSITORY, ["1"])
    await assert_is_there(server, client, image, ["1"])


async def test_a_callback_that_raises_ends_a_single_upload(client: ECRPublicClient) -> None:
    def tell(event: PushEvent) -> None:
        raise LookupError(type(event).__name__)

    with pytest.raises(LookupError, match="LayerStarted"):
        await upload_layer(client, REPOSITORY, b"content", on_event=tell)


async def test_skipped_layers_are_told(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path)
    await push_image(client, str(tmp_path), REPOSITORY)
    events: list[PushEvent] = []
    await push_image(client, str(tmp_path), REPOSITORY, ["1"], on_event=events.append)
    skipped = {event.digest for event in events if isinstance(event, LayerSkipped)}
    assert skipped == {*image.layers, image.config}
    assert await tags_of(client) == {image.digest: ["1"]}


class Ended:
    """A hook and a callback that wait, at one event or operation, for something that was cancelled."""

    def __init__(self, at: str) -> None:
        self._at = at
        self._awaited = asyncio.get_running_loop().create_future()
        self._awaited.cancel()

    async def before_send(self, event: SendEvent) -> None:
        if event.operation == self._at:
            await self._awaited

    async def tell(self, event: PushEvent) -> None:
        if type(event).__name__ == self._at:
            await self._awaited


@pytest.mark.parametrize(
    "at",
    [
        "PushStarted",
        "LayerStarted",
        "LayerCompleted",
        "ManifestPut",
        "PushCompleted",
        "BatchCheckLayerAvailability",
        "UploadLayerPart",
        "DescribeRepositories",
        "PutImage",
    ],
)
async def test_what_waits_for_something_cancelled_ends_the_push(
    client: ECRPublicClient, tmp_path: Path, at: str
) -> None:
    write_image(tmp_path)
    before = asyncio.all_tasks()
    ended = Ended(at)
    async with asyncio.timeout(60):
        with pytest.raises(PushError, match="callback or a hook"):
            await push_image(
                client.with_options(hooks=[ended]), str(tmp_path), REPOSITORY, ["1"], on_event=ended.tell
            )
    await assert_nothing_runs(before)
    await assert_nothing_is_open(tmp_path)
