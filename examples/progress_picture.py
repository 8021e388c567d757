"""Draw the picture in the README: ``python progress_picture.py [FILE.svg]``; needs ``aioecrpublic[cli]``.

It is a snapshot of what ``aioecrpublic push`` shows of a real push, to a local ECR Public that takes its time
over every request, as one across a network does.
"""

import asyncio
import io
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from tiny_image import write_layers

from aioecrpublic import ECRPublicClient, PushEvent, push_image
from aioecrpublic.cli.progress import Bars
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import LayerCompleted, LayerProgress

MIB = 1024 * 1024
SIZES = (40, 31, 12, 24, 13, 5)
"""MiB of the layers."""
LATENCY = 0.15
"""Seconds."""


class Photographer:
    """Watches a push, and keeps what is to be seen once some layers are there and others on their way."""

    def __init__(self, command: str) -> None:
        self._console = Console(
            record=True, force_terminal=True, width=100, file=io.StringIO(), color_system="truecolor"
        )
        self._bars = Bars(self._console)
        self._completed = self._since = 0
        self._console.print(f"$ {command}", highlight=False)
        self.picture = ""

    def __call__(self, event: PushEvent) -> None:
        self._bars(event)
        self._completed += isinstance(event, LayerCompleted)
        self._since += isinstance(event, LayerProgress) and self._completed > 0
        if self._since == 3 and not self.picture:
            self._console.print(self._bars.still())
            self.picture = self._console.export_svg(title="aioecrpublic")


async def draw() -> str:
    photographer = Photographer("aioecrpublic push oci:build/image team/app:1.0")
    with tempfile.TemporaryDirectory() as directory:
        there, image = Path(directory) / "there", Path(directory) / "image"
        layers = [os.urandom(size * MIB) for size in SIZES]
        write_layers(there, layers[-1:])
        write_layers(image, layers)
        async with (
            LocalECRPublic(latency=LATENCY) as server,
            ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
        ):
            await push_image(client, there, "team/app", ["0.9"], create_repository=True)
            await push_image(client, image, "team/app", ["1.0"], on_event=photographer, part_size=5 * MIB)
    return photographer.picture


def main() -> None:
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "progress.svg")
    file.write_text(asyncio.run(draw()), "utf-8")
    print(f"drawn: {file}")


if __name__ == "__main__":
    main()
