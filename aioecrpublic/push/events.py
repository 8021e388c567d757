"""What a push tells while it runs: enough to draw a bar for each layer, and not more than that can use."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import attrs

from aioecrpublic.push.tasks import run_whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aioecrpublic.push.result import PushResult

_TICK = 0.1
# Parts of a fast upload follow each other more often than any bar is drawn.
SHORTEST_PAUSE = 0.04


@attrs.frozen(kw_only=True)
class PushStarted:
    """The image was read and its layers are known.

    Attributes:
        digest: The digest of the image's manifest or index.
        layers: How many layers it has, config blobs included, each once.
        total_bytes: Their bytes.
    """

    digest: str
    layers: int
    total_bytes: int


@attrs.frozen(kw_only=True)
class LayerStarted:
    """A layer that the repository lacks begins to be uploaded; again, if the repository has lost it since."""

    digest: str
    size: int
    media_type: str


@attrs.frozen(kw_only=True)
class LayerProgress:
    """A layer is on its way; about ten times a second, and no more than 25 times.

    Attributes:
        digest: The layer's digest.
        size: Its size in bytes.
        bytes_confirmed: Bytes that the service has confirmed; never runs backwards.
        bytes_sent: Bytes handed to the connection, those of the part on its way included; runs backwards
            where a part has to be sent again.
        elapsed: Seconds since the layer was started.
        bytes_resumed: Bytes among them that an earlier push has brought.
    """

    digest: str
    size: int
    bytes_confirmed: int
    bytes_sent: int
    elapsed: float
    bytes_resumed: int = 0

    @property
    def rate(self) -> float:
        """Bytes per second so far, without those that were there."""
        return (self.bytes_sent - self.bytes_resumed) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds left at that rate; ``None`` before anything was sent."""
        return (self.size - self.bytes_sent) / self.rate if self.rate else None


@attrs.frozen(kw_only=True)
class LayerSkipped:
    """A layer that was not uploaded because the repository has it."""

    digest: str
    size: int
    media_type: str


@attrs.frozen(kw_only=True)
class LayerResumed:
    """A layer that goes on where an earlier push, or its own lost reply, left it.

    Attributes:
        digest: The layer's digest.
        bytes_confirmed: Bytes that the service has already.
    """

    digest: str
    bytes_confirmed: int


@attrs.frozen(kw_only=True)
class LayerCompleted:
    """A layer that is uploaded and was verified by the service."""

    digest: str
    size: int
    elapsed: float


@attrs.frozen(kw_only=True)
class PartRetried:
    """A part that has to be sent again, or an upload that has to begin again.

    Attributes:
        digest: The layer's digest.
        first_byte: Where it goes on.
        error: What went wrong.
    """

    digest: str
    first_byte: int
    error: Exception


@attrs.frozen(kw_only=True)
class ManifestPut:
    """A manifest or an index that is in the repository now.

    Attributes:
        digest: Its digest.
        media_type: Its media type.
        tag: The tag that it was put with, if any.
    """

    digest: str
    media_type: str
    tag: str | None


@attrs.frozen(kw_only=True)
class PushCompleted:
    """The image is in the repository, with all its tags."""

    result: PushResult


PushEvent: TypeAlias = (
    PushStarted
    | LayerStarted
    | LayerProgress
    | LayerSkipped
    | LayerResumed
    | LayerCompleted
    | PartRetried
    | ManifestPut
    | PushCompleted
)
OnEvent: TypeAlias = Callable[[PushEvent], Awaitable[None] | None]
"""Takes one event at a time; an awaitable that it returns is awaited, and what it raises ends the push."""


class Emitter:
    """Hands events to the user's callback, and progress at a bounded rate.

    Args:
        on_event: The callback, if there is one.
    """

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._sources: list[Callable[[], LayerProgress | None]] = []
        # One event at a time, in the order in which things happened.
        self._turn = asyncio.Lock()

    async def emit(self, event: PushEvent) -> None:
        """Tell about ``event``, after those before it."""
        if self._on_event is None:
            return
        async with self._turn:
            outcome = self._on_event(event)
            if inspect.isawaitable(outcome):
                await outcome

    def watch(self, progress: Callable[[], LayerProgress | None]) -> None:
        """Ask ``progress`` at every tick; it answers ``None`` when nothing changed."""
        self._sources.append(progress)

    def unwatch(self, progress: Callable[[], LayerProgress | None]) -> None:
        """Ask no more."""
        self._sources.remove(progress)

    @asynccontextmanager
    async def ticking(self) -> AsyncGenerator[None]:
        """Report progress until the block ends, if anybody listens."""
        if self._on_event is None:
            yield
            return
        async with asyncio.TaskGroup() as group:
            ticker = group.create_task(run_whole(self._tick))
            try:
                yield
            finally:
                ticker.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            for progress in tuple(self._sources):
                event = progress() if progress in self._sources else None
                if event is not None:
                    await self.emit(event)
