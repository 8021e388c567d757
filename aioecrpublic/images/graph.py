"""Everything an image is made of, in the order in which it can be put into a registry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import INDEXES
from aioecrpublic.images.config import MAX_CONFIG_SIZE, check_layers, is_image_config, read_config
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.manifest import check_manifest_type, parse_manifest
from aioecrpublic.images.selection import select_platforms
from aioecrpublic.images.threads import map_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aioecrpublic.images.config import ImageConfig
    from aioecrpublic.images.descriptor import Descriptor, Platform
    from aioecrpublic.images.manifest import Manifest
    from aioecrpublic.images.source import ImageSource

MAX_DEPTH = 8
"""Levels of manifests; an index of images has two."""
MAX_MANIFESTS = 1000
MAX_MANIFEST_BYTES = 32 * 1024 * 1024
"""Bytes of all manifests of one image, which are held in memory together."""
MAX_BLOBS = 50_000
_CONCURRENT_READS = 8


@attrs.frozen(kw_only=True)
class ManifestNode:
    """One image manifest or index, with what must be in the registry before it."""

    descriptor: Descriptor
    raw: bytes = attrs.field(repr=False)
    """The exact bytes to put."""
    blobs: tuple[Descriptor, ...] = ()
    """Config, then layers, each digest once; of an index none."""
    children: tuple[str, ...] = ()
    """Digests of the manifests an index lists; of an image manifest none."""


@attrs.frozen(kw_only=True)
class ImageGraph:
    """An image with all its manifests and blobs."""

    root: ManifestNode
    manifests: tuple[ManifestNode, ...]
    """Each digest once, children before their parents, the root last."""
    blobs: tuple[Descriptor, ...]
    """Each digest once, in the order in which the manifests need them."""
    configs: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)
    """The configs of images by their digests. They were read to check them, and need not be read again."""


async def load_image(
    source: ImageSource,
    *,
    platforms: Sequence[str] | None = None,
    include_nondistributable: bool = False,
    root: Descriptor | None = None,
) -> ImageGraph:
    """Read all manifests of an image and check everything that can be without reading a layer.

    Every blob is there with its stated size, every manifest has its stated digest and is well-formed, and
    every image has as many layers as its config lists.

    Args:
        source: where the image is; it is opened if need be, and left open.
        platforms: the platforms wanted (`linux/arm64`, `linux/arm/v7`); None takes the whole index, byte for
            byte. If one manifest is left, it becomes the root by itself. If several are, an index of them is
            made, whose entries, those of their attestations included, are as in the original.
        include_nondistributable: also take layers that are meant to be fetched from elsewhere.
        root: another manifest of the source to start from, such as a referrer; None: the source's own.

    Raises:
        ImageError: anything is missing, malformed or contradictory, a platform is not there, or the image is
            beyond all reason (8 levels, 1000 manifests, 32 MiB of manifests and of configs, 50 000 blobs).
    """
    opened = await source.open()
    loader = _Loader(source, include_nondistributable=include_nondistributable)
    start = opened if root is None else root
    if platforms is not None:
        chosen = await select_platforms(
            start, platforms, name=source.name, read=loader.read, read_platform=loader.read_platform
        )
        if chosen.raw is not None:
            await loader.add(chosen.descriptor, chosen.raw)
        start = chosen.descriptor
    graph = await loader.load(start)
    return attrs.evolve(graph, configs=await loader.check_blobs(graph))


@attrs.frozen
class _Read:
    node: ManifestNode
    manifest: Manifest


class _Loader:
    """Reads manifests, each digest once, within the bounds."""

    def __init__(self, source: ImageSource, *, include_nondistributable: bool) -> None:
        self._source = source
        self._include_nondistributable = include_nondistributable
        self._read: dict[str, _Read] = {}
        self._configs: dict[str, ImageConfig] = {}
        self._count = 0
        self._bytes = 0
        self._config_bytes = 0

    async def read(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest, read if it was not read before."""
        known = self._read.get(descriptor.digest)
        if known is None:
            where = self._where(descriptor)
            check_manifest_type(descriptor, where)
            self._spend(descriptor.size)
            return await self.add(descriptor, await self._source.read_manifest(descriptor))
        self._check_same(known.node.descriptor, descriptor)
        return known.manifest

    async def add(self, descriptor: Descriptor, raw: bytes) -> Manifest:
        """Parse a manifest's bytes and keep them."""
        # Parsing may take tens of milliseconds for the largest manifests.
        read = await asyncio.to_thread(self._parse, descriptor, raw)
        known = self._read.setdefault(descriptor.digest, read)
        self._check_same(known.node.descriptor, descriptor)
        return known.manifest

    async def read_platform(self, config: Descriptor) -> Platform | None:
        """Return what a config says its image is for, None if it is not JSON."""
        if config.size == 0 or not config.media_type.endswith("json"):
            return None
        return (await self._read_config(config)).platform

    async def load(self, root: Descriptor) -> ImageGraph:
        """Read everything below `root`."""
        level: Sequence[Descriptor] = [root]
        for _ in range(MAX_DEPTH):
            manifests = await map_bounded(self.read, level, limit=_CONCURRENT_READS)
            level = list(_unique(child for manifest in manifests for child in manifest.manifests))
            if not level:
                return await asyncio.to_thread(self._graph, root)
        raise ImageError(f"{self._where(root)}: more than {MAX_DEPTH} levels of manifests")

    async def check_blobs(self, graph: ImageGraph) -> dict[str, bytes]:
        """Check that all blobs are there, and that images have the layers that their configs list.

        A config is read instead of being asked after, which costs a registry the same one request.

        Returns:
            The configs by their digests.
        """
        await map_bounded(self._check_config, graph.manifests, limit=_CONCURRENT_READS)
        rest = [blob for blob in graph.blobs if blob.digest not in self._configs]
        await map_bounded(self._source.check_blob, rest, limit=_CONCURRENT_READS)
        return {digest: config.raw for digest, config in self._configs.items()}

    async def _check_config(self, node: ManifestNode) -> None:
        manifest = self._read[node.descriptor.digest].manifest
        if manifest.config is not None and is_image_config(manifest.config):
            config = await self._read_config(manifest.config)
            check_layers(manifest, config, self._where(node.descriptor))

    async def _read_config(self, config: Descriptor) -> ImageConfig:
        known = self._configs.get(config.digest)
        if known is None:
            self._config_bytes += min(config.size, MAX_CONFIG_SIZE)
            if self._config_bytes > MAX_MANIFEST_BYTES:
                raise ImageError(
                    f"{self._source.name}: more than {MAX_MANIFEST_BYTES} bytes of configs in one image"
                )
            known = self._configs[config.digest] = await read_config(self._source, config)
        return known

    def _parse(self, descriptor: Descriptor, raw: bytes) -> _Read:
        manifest = parse_manifest(raw, descriptor, self._where(descriptor))
        node = ManifestNode(
            descriptor=descriptor,
            raw=raw,
            blobs=tuple(self._needed_blobs(manifest, self._where(descriptor))),
            children=tuple(dict.fromkeys(child.digest for child in manifest.manifests)),
        )
        return _Read(node, manifest)

    def _graph(self, root: Descriptor) -> ImageGraph:
        ordered = tuple(self._post_order(root.digest))
        needed = (blob for node in ordered for blob in node.blobs)
        blobs = tuple(_unique_blobs(needed, self._source.name))
        if len(blobs) > MAX_BLOBS:
            raise ImageError(f"{self._where(root)}: more than {MAX_BLOBS} blobs")
        return ImageGraph(root=ordered[-1], manifests=ordered, blobs=blobs)

    def _post_order(self, root: str) -> Iterator[ManifestNode]:
        # The depth was bounded on the way down, and a digest cannot contain itself.
        seen: set[str] = set()

        def visit(digest: str) -> Iterator[ManifestNode]:
            if digest in seen:
                return
            seen.add(digest)
            node = self._read[digest].node
            for child in node.children:
                yield from visit(child)
            yield node

        return visit(root)

    def _needed_blobs(self, manifest: Manifest, where: str) -> Iterator[Descriptor]:
        if manifest.config is None:
            return
        layers = (
            layer for layer in manifest.layers if self._include_nondistributable or layer.is_distributable
        )
        for blob in _unique_blobs([manifest.config, *layers], where):
            if blob.size == 0:
                raise ImageError(
                    f"{where}: blob {blob.digest} is empty; ECR Public cannot store an empty layer"
                )
            yield blob

    def _spend(self, size: int) -> None:
        self._count += 1
        self._bytes += size
        if self._count > MAX_MANIFESTS:
            raise ImageError(f"{self._source.name}: more than {MAX_MANIFESTS} manifests in one image")
        if self._bytes > MAX_MANIFEST_BYTES:
            raise ImageError(
                f"{self._source.name}: more than {MAX_MANIFEST_BYTES} bytes of manifests in one image"
            )

    def _check_same(self, known: Descriptor, other: Descriptor) -> None:
        if (known.size, known.media_type) != (other.size, other.media_type):
            raise ImageError(
                f"{self._where(other)}: described both as {known.size} bytes of {known.media_type} "
                f"and as {other.size} bytes of {other.media_type}"
            )

    def _where(self, descriptor: Descriptor) -> str:
        kind = "index" if descriptor.media_type in INDEXES else "manifest"
        return f"{self._source.name}: {kind} {descriptor.digest}"


def _unique(descriptors: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """Yield each descriptor once; the same digest described differently counts as another."""
    seen: set[tuple[str, int, str]] = set()
    for descriptor in descriptors:
        key = (descriptor.digest, descriptor.size, descriptor.media_type)
        if key not in seen:
            seen.add(key)
            yield descriptor


def _unique_blobs(blobs: Iterable[Descriptor], where: str) -> Iterator[Descriptor]:
    """Yield each digest once; it may be used under several media types, but has one size."""
    sizes: dict[str, int] = {}
    for blob in blobs:
        known = sizes.get(blob.digest)
        if known is None:
            sizes[blob.digest] = blob.size
            yield blob
        elif known != blob.size:
            raise ImageError(
                f"{where}: blob {blob.digest} is described both as {known} and as {blob.size} bytes"
            )
