"""What the tests of image sources share."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import ImageError, load_image
from aioecrpublic.images.pages import Pages
from tests.images.conftest import open_paths
from tests.support.oci import digest_of, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from aioecrpublic.images import BlobReader, Descriptor, FileRange, ImageGraph, ImageSource
    from tests.support.oci import BuiltImage, Document


async def read_blob(source: ImageSource, descriptor: Descriptor, part: int = 4096) -> bytes:
    """Return a whole blob, read in parts."""
    blob = await source.open_blob(descriptor)
    try:
        pieces = []
        for offset in range(0, descriptor.size, part):
            length = min(part, descriptor.size - offset)
            read = await blob.read(offset, length)
            assert blob.buffered is isinstance(read, bytes | Pages)
            assert len(read) == length
            pieces.append(content(read))
        return b"".join(pieces)
    finally:
        await blob.close()


def content(read: bytes | BlobReader) -> bytes:
    """The bytes that reading a blob gave."""
    return read if isinstance(read, bytes) else read.read_at(0, len(read))


async def assert_holds(source: ImageSource, image: BuiltImage) -> ImageGraph:
    """Check that the source's image is the one built, manifest by manifest and byte by byte."""
    graph = await load_image(source)
    assert [node.descriptor.digest for node in graph.manifests] == list(image.manifests)
    assert graph.root is graph.manifests[-1]
    assert graph.root.descriptor.media_type == image.media_type
    for node in graph.manifests:
        assert node.raw == image.read(node.descriptor.digest)
    assert {blob.digest for blob in graph.blobs} == {*image.configs, *image.layers}
    for descriptor in graph.blobs:
        assert digest_of(await read_blob(source, descriptor)) == descriptor.digest
    return graph


async def error_of(source: ImageSource) -> str:
    """Return the one line that loading a bad image ends in."""
    try:
        with pytest.raises(ImageError) as caught:
            await load_image(source)
    finally:
        await source.close()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def edit(path: Path, change: Callable[[Document], object]) -> None:
    """Rewrite a JSON file after `change` was made to its content."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(encode(document))


def first_entry(document: Document) -> Document:
    """Return the first entry of an `index.json`."""
    manifests = document["manifests"]
    assert isinstance(manifests, list)
    entry = manifests[0]
    assert isinstance(entry, dict)
    return entry


async def assert_cancellable(
    source: ImageSource, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel the opening of a source in the middle of its work in threads, and check that it all ends.

    `module` is where the source takes `chunks` from, which reads the files.
    """
    before = open_paths()
    started = threading.Event()

    def slow_chunks(content: FileRange) -> Iterator[bytes]:
        data = content.read_at(0, min(100, len(content)))
        started.set()
        yield data
        for _ in range(1000):
            if content.file.closed:
                break
            time.sleep(0.01)
        yield content.read_at(0, 1)

    monkeypatch.setattr(module, "chunks", slow_chunks)
    task = asyncio.create_task(source.open())
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(1000):
        if open_paths() == before:
            break
        await asyncio.sleep(0.01)
    assert open_paths() == before
