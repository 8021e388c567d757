"""Choosing platforms out of an index."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import IMAGE_MANIFESTS, INDEXES
from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import Descriptor, Platform
from aioecrpublic.images.digest import sha256_digest
from aioecrpublic.images.errors import ImageError, listed
from aioecrpublic.images.manifest import ATTESTATION_OF, MAX_ENTRIES, MAX_MANIFEST_SIZE
from aioecrpublic.images.threads import map_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from aioecrpublic.images.jsondoc import JSON, JSONObject
    from aioecrpublic.images.manifest import Manifest

_MAX_DEPTH = 8
_CONCURRENT_READS = 8


@attrs.frozen
class Selection:
    """What is left of an image: a manifest of it, or an index made of some of its manifests."""

    descriptor: Descriptor
    raw: bytes | None = None
    """The bytes of an index that the source does not have; None for a manifest of the source."""


@attrs.frozen
class _Entry:
    descriptor: Descriptor
    document: JSON
    nested: bool
    """Whether it comes from an index within the index."""


async def select_platforms(
    root: Descriptor,
    platforms: Sequence[str],
    *,
    name: str,
    read: Callable[[Descriptor], Awaitable[Manifest]],
    read_platform: Callable[[Descriptor], Awaitable[Platform | None]],
) -> Selection:
    """Choose the manifests for some platforms.

    An index may list one manifest for several platforms, so entries are chosen, not digests.

    Args:
        root: an image manifest or index.
        platforms: such as `linux/arm64`; each must be there.
        name: of the source, for messages.
        read: reads and parses a manifest of the source.
        read_platform: tells what a config says an image is for, where the index does not.

    Raises:
        ImageError: a platform is malformed or not there; the message lists those that are.
    """

    async def platform_of(image: Descriptor) -> Platform | None:
        if image.platform is not None:
            return image.platform
        config = (await read(image)).config
        return None if config is None else await read_platform(config)

    wanted = [Platform.parse(platform) for platform in platforms]
    if not wanted:
        raise ImageError(f"{name}: the list of platforms is empty")
    if root.media_type not in INDEXES:
        _match(wanted, [await platform_of(root)], name)
        return Selection(root)
    entries = [entry async for entry in _entries(read, root, name)]
    images = [entry for entry in entries if _is_image(entry.descriptor)]
    available = await map_bounded(
        platform_of, [image.descriptor for image in images], limit=_CONCURRENT_READS
    )
    kept = [images[number] for number in sorted(_match(wanted, available, name))]
    if all(entry.document == kept[0].document for entry in kept):
        return Selection(kept[0].descriptor)
    return await asyncio.to_thread(_index_of, kept, entries, root, (await read(root)).document, name)


async def _entries(
    read: Callable[[Descriptor], Awaitable[Manifest]], root: Descriptor, name: str
) -> AsyncIterator[_Entry]:
    """Yield the entries of an index, and in the place of an index within it, that one's entries."""
    count = 0

    async def entries(index: Descriptor, depth: int) -> AsyncIterator[_Entry]:
        nonlocal count
        if depth > _MAX_DEPTH:
            raise ImageError(f"{name}: index {index.digest}: more than {_MAX_DEPTH} levels of manifests")
        manifest = await read(index)
        documents = jsondoc.items(manifest.document, "manifests", index.digest)
        for descriptor, document in zip(manifest.manifests, documents, strict=True):
            # One index may be listed again and again, and list others so: few bytes can be very many entries.
            count += 1
            if count > MAX_ENTRIES:
                raise ImageError(f"{name}: more than {MAX_ENTRIES} entries in the index and those within it")
            if descriptor.media_type in INDEXES:
                async for entry in entries(descriptor, depth + 1):
                    yield entry
            else:
                yield _Entry(descriptor, document, nested=depth > 1)

    async for entry in entries(root, 1):
        yield entry


def _is_image(descriptor: Descriptor) -> bool:
    return descriptor.media_type in IMAGE_MANIFESTS and ATTESTATION_OF not in descriptor.annotations


def _match(wanted: Iterable[Platform], available: Sequence[Platform | None], name: str) -> set[int]:
    """Return which of the available platforms are those wanted, by their positions."""
    kept: set[int] = set()
    for platform in wanted:
        matching = {
            number for number, image in enumerate(available) if image is not None and platform.matches(image)
        }
        if not matching:
            there = sorted({str(image) for image in available if image is not None})
            raise ImageError(
                f"{name}: no image for {listed([str(platform)])}; there are {listed(there) or 'none'}"
            )
        kept |= matching
    return kept


def _index_of(
    images: Sequence[_Entry], entries: Sequence[_Entry], root: Descriptor, document: JSONObject, name: str
) -> Selection:
    """Make an index of some images and their attestations, as they are, with all else that the original says.

    If that is all that the original lists, it is the original.
    """
    chosen = {id(image) for image in images}
    digests = {image.descriptor.digest for image in images}
    kept = [
        entry
        for entry in entries
        if id(entry) in chosen or entry.descriptor.annotations.get(ATTESTATION_OF) in digests
    ]
    if len(kept) == len(entries) and not any(entry.nested for entry in entries):
        return Selection(root)
    raw = json.dumps({**document, "manifests": [entry.document for entry in kept]}, separators=(",", ":"))
    if len(raw) > MAX_MANIFEST_SIZE:
        raise ImageError(f"{name}: the index of the chosen platforms has more than {MAX_MANIFEST_SIZE} bytes")
    encoded = raw.encode("ascii")
    return Selection(
        Descriptor(media_type=root.media_type, digest=sha256_digest(encoded), size=len(encoded)), encoded
    )
