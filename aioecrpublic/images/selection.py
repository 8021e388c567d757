"""Choosing platforms out of an index."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import attrs

from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import Descriptor, Platform, parse_platform
from aioecrpublic.images.digest import sha256_digest, verify
from aioecrpublic.images.errors import ImageError, listed
from aioecrpublic.images.manifest import MAX_MANIFEST_SIZE
from aioecrpublic.images.mediatypes import IMAGE_MANIFESTS, INDEXES
from aioecrpublic.images.threads import map_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from aioecrpublic.images.jsondoc import JSON
    from aioecrpublic.images.manifest import Manifest
    from aioecrpublic.images.source import BlobReader, ImageSource

ATTESTATION_OF = "vnd.docker.reference.digest"
"""The annotation by which BuildKit's attestation manifests name the image manifest they are about."""

MAX_CONFIG_SIZE = 8 * 1024 * 1024
"""Bytes of an image config that is read to learn its platform."""

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
    source: ImageSource,
    read: Callable[[Descriptor], Awaitable[Manifest]],
    root: Descriptor,
    platforms: Sequence[str],
) -> Selection:
    """Choose the manifests for some platforms.

    Args:
        source: where configs are read, for images whose index does not say what they are for.
        read: reads and parses a manifest of the source.
        root: an image manifest or index.
        platforms: such as `linux/arm64`; each must be there.

    Raises:
        ImageError: a platform is malformed or not there; the message lists those that are.
    """
    wanted = [Platform.parse(platform) for platform in platforms]
    if not wanted:
        raise ImageError(f"{source.name}: the list of platforms is empty")
    if root.media_type not in INDEXES:
        image = await _platform_of(source, read, root)
        _match(wanted, {root.digest: image}, source.name)
        return Selection(root)
    entries = [entry async for entry in _entries(read, root)]
    images = [entry.descriptor for entry in entries if _is_image(entry.descriptor)]
    found = await map_bounded(
        lambda image: _platform_of(source, read, image), images, limit=_CONCURRENT_READS
    )
    available = {image.digest: platform for image, platform in zip(images, found, strict=True)}
    kept = _match(wanted, available, source.name)
    if len(kept) == 1:
        return Selection(next(image for image in images if image.digest in kept))
    chosen = [
        entry
        for entry in entries
        if entry.descriptor.digest in kept or entry.descriptor.annotations.get(ATTESTATION_OF) in kept
    ]
    if len(chosen) == len(entries) and not any(entry.nested for entry in entries):
        return Selection(root)
    return _index_of(chosen, root, await read(root), source.name)


async def _entries(
    read: Callable[[Descriptor], Awaitable[Manifest]], index: Descriptor, depth: int = 1
) -> AsyncIterator[_Entry]:
    """Yield the entries of an index, and in the place of an index within it, that one's entries."""
    if depth > _MAX_DEPTH:
        raise ImageError(f"index {index.digest}: more than {_MAX_DEPTH} levels of manifests")
    manifest = await read(index)
    documents = jsondoc.items(manifest.document, "manifests", index.digest)
    for descriptor, document in zip(manifest.manifests, documents, strict=True):
        if descriptor.media_type in INDEXES:
            async for entry in _entries(read, descriptor, depth + 1):
                yield attrs.evolve(entry, nested=True)
        else:
            yield _Entry(descriptor, document, nested=False)


def _is_image(descriptor: Descriptor) -> bool:
    return descriptor.media_type in IMAGE_MANIFESTS and ATTESTATION_OF not in descriptor.annotations


async def _platform_of(
    source: ImageSource, read: Callable[[Descriptor], Awaitable[Manifest]], image: Descriptor
) -> Platform | None:
    """Return what an image is for: what its descriptor says, else its config."""
    if image.platform is not None:
        return image.platform
    config = (await read(image)).config
    if config is None or config.size == 0 or not config.media_type.endswith("json"):
        return None
    return await _config_platform(source, config)


async def _config_platform(source: ImageSource, config: Descriptor) -> Platform | None:
    where = f"{source.name}: config {config.digest}"
    if config.size > MAX_CONFIG_SIZE:
        raise ImageError(f"{where} has {config.size} bytes, more than {MAX_CONFIG_SIZE}")
    blob = await source.open_blob(config)
    try:
        content = await blob.read(0, config.size)
        return await asyncio.to_thread(_parse_config, content, config, where)
    finally:
        await blob.close()


def _parse_config(content: bytes | BlobReader, config: Descriptor, where: str) -> Platform | None:
    raw = content if isinstance(content, bytes) else content.read_at(0, config.size)
    verify(raw, config.digest, where)
    return parse_platform(jsondoc.parse_object(raw, where), where)


def _match(wanted: Iterable[Platform], available: dict[str, Platform | None], name: str) -> set[str]:
    """Return the digests of the images for the wanted platforms."""
    kept: set[str] = set()
    for platform in wanted:
        matching = {
            digest for digest, image in available.items() if image is not None and platform.matches(image)
        }
        if not matching:
            there = sorted({str(image) for image in available.values() if image is not None})
            raise ImageError(
                f"{name}: no image for {listed([str(platform)])}; there are {listed(there) or 'none'}"
            )
        kept |= matching
    return kept


def _index_of(entries: Iterable[_Entry], root: Descriptor, manifest: Manifest, name: str) -> Selection:
    """Make an index of some entries, as they are, with all else that the original says."""
    document = {**manifest.document, "manifests": [entry.document for entry in entries]}
    raw = json.dumps(document, separators=(",", ":")).encode("ascii")
    if len(raw) > MAX_MANIFEST_SIZE:
        raise ImageError(f"{name}: the index of the chosen platforms has more than {MAX_MANIFEST_SIZE} bytes")
    descriptor = Descriptor(media_type=root.media_type, digest=sha256_digest(raw), size=len(raw))
    return Selection(descriptor, raw)
