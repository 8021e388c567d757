"""What the tests of pushing have in common."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs

from aioecrpublic import ECRPublicClient
from aioecrpublic.push import (
    LayerCompleted,
    LayerProgress,
    LayerResumed,
    LayerSkipped,
    LayerStarted,
    ManifestPut,
    PartRetried,
    PushCompleted,
    PushStarted,
    sizes,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from aioecrpublic._runtime.hooks import SendEvent
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage

REPOSITORY = "team/app"
LayerEvent: TypeAlias = (
    LayerStarted | LayerResumed | LayerProgress | PartRetried | LayerCompleted | LayerSkipped
)


def connect(server: LocalECRPublic, **options: object) -> ECRPublicClient:
    """A client that is not paced, so that tests are quick."""
    settings = {"endpoint_url": server.endpoint_url, "credentials": server.credentials, "rate_limits": False}
    return ECRPublicClient(**{**settings, **options})  # type: ignore[arg-type]


def small_parts(patch: pytest.MonkeyPatch, size: int) -> None:
    """Let parts be as small as ``size``, so that small layers have many."""
    patch.setattr(sizes, "SMALLEST_PART", size)


@attrs.define
class Wire:
    """A hook that counts what is sent.

    Attributes:
        sent: The operations, in order, each attempt once.
    """

    sent: list[str] = attrs.field(factory=list)

    async def before_send(self, event: SendEvent) -> None:
        """Note the operation."""
        self.sent.append(event.operation)

    def count(self, operation: str) -> int:
        """How often ``operation`` was sent."""
        return self.sent.count(operation)


async def tags_of(client: ECRPublicClient, repository_name: str = REPOSITORY) -> dict[str, list[str]]:
    """The tags of every image in the repository, by digest."""
    images = await client.paginate_describe_images(repository_name=repository_name).collect(limit=1000)
    return {str(image.image_digest): sorted(image.image_tags) for image in images}


async def assert_is_there(
    server: LocalECRPublic,
    client: ECRPublicClient,
    image: BuiltImage,
    tags: Sequence[str] = (),
    repository_name: str = REPOSITORY,
) -> None:
    """Read the image back from the registry and hold every byte of it against the source."""
    for digest in image.manifests:
        assert await server.read_manifest(repository_name, digest) == image.read(digest)
    for digest in (*image.configs, *image.layers):
        assert await server.read_blob(digest) == image.read(digest)
    there = await tags_of(client, repository_name)
    assert there == {digest: sorted(tags) if digest == image.digest else [] for digest in image.manifests}


def kinds(events: Sequence[PushEvent]) -> list[str]:
    """The names of the events' classes."""
    return [type(event).__name__ for event in events]


# A layer's events: it is skipped or brought, and brought again if the repository has lost it.
_LETTERS = {
    LayerSkipped: "k",
    LayerStarted: "s",
    LayerResumed: "r",
    LayerProgress: "p",
    PartRetried: "t",
    LayerCompleted: "c",
}
_WHOLE = re.compile(r"(k|sr?[pt]*c)(sr?[pt]*c)*")
_BROKEN_OFF = re.compile(r"(k|sr?[pt]*c)?(sr?[pt]*c)*(sr?[pt]*)?")


def assert_in_order(events: Sequence[PushEvent], *, completed: bool = True) -> None:
    """Hold that the events of a push of one image follow each other as they say."""
    started, *rest = events
    assert isinstance(started, PushStarted)
    assert [isinstance(event, PushCompleted) for event in events].count(True) == completed
    assert isinstance(events[-1], PushCompleted) or not completed
    stories: dict[str, list[LayerEvent]] = defaultdict(list)
    for event in rest:
        if isinstance(event, LayerEvent):
            stories[event.digest].append(event)
        elif isinstance(event, ManifestPut):
            ended = [story for story in stories.values() if {"k", "c"} & set(_letters(story))]
            assert len(ended) == started.layers, "a manifest before the layers of the image"
    assert len(stories) == started.layers or not completed
    for story in stories.values():
        assert_layer_in_order(story, completed=completed)


def assert_layer_in_order(story: Sequence[LayerEvent], *, completed: bool = True) -> None:
    """Hold that the events of one layer follow each other as they say."""
    assert (_WHOLE if completed else _BROKEN_OFF).fullmatch(_letters(story)), kinds(story)
    confirmed = elapsed = 0.0
    for event in story:
        if isinstance(event, LayerStarted):
            confirmed = elapsed = 0
        elif isinstance(event, LayerResumed):
            confirmed = event.bytes_confirmed
        elif isinstance(event, LayerProgress):
            assert confirmed <= event.bytes_confirmed <= event.bytes_sent <= event.size
            assert elapsed <= event.elapsed
            assert event.bytes_resumed <= event.bytes_confirmed
            confirmed, elapsed = event.bytes_confirmed, event.elapsed


def _letters(story: Sequence[LayerEvent]) -> str:
    return "".join(_LETTERS[type(event)] for event in story)


def open_files() -> set[str]:
    """The regular files below a temporary directory that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return {name for name in found if "/blobs/" in name or name.endswith((".tar", "journal"))}


async def assert_nothing_is_open(directory: Path) -> None:
    """Hold that no file below ``directory`` stays open.

    A thread whose caller was cancelled may be in the middle of a read; the file is closed at its end.
    """
    await until(lambda: not [name for name in open_files() if name.startswith(str(directory))])


async def assert_nothing_runs(before: set[asyncio.Task[object]]) -> None:
    """Hold that no task is left but those of ``before`` and the registry's, which come and go."""
    left = [task for task in asyncio.all_tasks() - before if _is_ours(task)]
    # What was cancelled may take its last step now, and nothing may take longer.
    _, running = await asyncio.wait(left, timeout=5) if left else (left, [])
    assert not running


def _is_ours(task: asyncio.Task[object]) -> bool:
    return "RequestHandler" not in repr(task.get_coro())
