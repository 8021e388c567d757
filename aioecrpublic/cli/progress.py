"""A push as it can be watched: a bar for each layer on a terminal, plain lines anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from aioecrpublic._common.text import printable
from aioecrpublic.cli.output import print_line
from aioecrpublic.push import (
    LayerCompleted,
    LayerProgress,
    LayerResumed,
    LayerSkipped,
    LayerStarted,
    ManifestPut,
    PartRetried,
    PushCompleted,
    PushEvent,
    PushStarted,
)

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

_DIGEST = 19


class Display(Protocol):
    """Something that shows the events of a push; a context manager."""

    def __call__(self, event: PushEvent, /) -> None:
        """Show ``event``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def display(console: Console) -> Display:
    """What fits the console: bars for a terminal, else lines."""
    return Bars(console) if console.is_terminal else Lines(console)


def short(digest: str) -> str:
    """A digest that fits into a line: ``sha256:0123456789ab``."""
    return digest[:_DIGEST]


class Lines:
    """A line for everything that is worth one."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: PushEvent, /) -> None:
        """Write the line of ``event``, if it has one."""
        line = describe(event)
        if line:
            print_line(self._console, line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Bars:
    """A bar for each layer in flight and one for the whole; what is done becomes a line above them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._lines = Lines(self._progress.console)
        self._layers: dict[str, TaskID] = {}
        self._total = self._progress.add_task("total", total=None, visible=False)
        self._bytes = 0
        # By image and layer: what is attached to an image comes as images of its own.
        self._counted: dict[tuple[str, str], int] = {}
        self._image = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def still(self) -> RenderableType:
        """The bars as they are now, as a picture that does not move."""
        return self._progress.get_renderable()

    def __call__(self, event: PushEvent, /) -> None:
        """Move the bars, and write the line of ``event``, if it has one."""
        match event:
            case PushStarted():
                self._drop_unfinished()
                self._image = event.digest
                self._bytes += event.total_bytes
                self._progress.update(self._total, total=self._bytes, visible=True)
            case LayerStarted():
                self._layers[event.digest] = self._progress.add_task(
                    printable(short(event.digest)), total=event.size
                )
            case LayerProgress():
                self._progress.update(self._layers[event.digest], completed=event.bytes_sent)
                self._count(event.digest, event.bytes_confirmed)
            case LayerCompleted():
                self._progress.remove_task(self._layers.pop(event.digest))
                self._count(event.digest, event.size)
            case LayerSkipped():
                self._count(event.digest, event.size)
            case _:
                pass
        self._lines(event)

    def _drop_unfinished(self) -> None:
        """Take away what is left of something attached to the image that could not be pushed."""
        for task in self._layers.values():
            self._progress.remove_task(task)
        self._layers.clear()

    def _count(self, digest: str, confirmed: int) -> None:
        self._counted[self._image, digest] = confirmed
        self._progress.update(self._total, completed=sum(self._counted.values()))


def describe(event: PushEvent) -> str | None:  # noqa: PLR0911 - one line for each kind of event
    """An event in one line; ``None`` for those that come too often."""
    match event:
        case PushStarted():
            return f"image {short(event.digest)}: {event.layers} layers, {decimal(event.total_bytes)}"
        case LayerSkipped():
            return f"layer {short(event.digest)}: is there, {decimal(event.size)}"
        case LayerResumed():
            return f"layer {short(event.digest)}: goes on at {decimal(event.bytes_confirmed)}"
        case LayerCompleted():
            return f"layer {short(event.digest)}: uploaded, {decimal(event.size)} in {event.elapsed:.1f} s"
        case PartRetried():
            return f"layer {short(event.digest)}: again from byte {event.first_byte}: {event.error}"
        case ManifestPut():
            return f"manifest {short(event.digest)}: put{f' as {event.tag}' if event.tag else ''}"
        case PushCompleted():
            result = event.result
            compressed = f", {result.layers_compressed} compressed" if result.layers_compressed else ""
            return (
                f"pushed {result.image_uri or result.digest}: {result.layers_uploaded} layers uploaded "
                f"({decimal(result.bytes_uploaded)}){compressed}, {result.layers_skipped} there "
                f"({decimal(result.bytes_skipped)}), {result.elapsed:.1f} s, {result.retries} retries"
            )
        case _:
            return None
