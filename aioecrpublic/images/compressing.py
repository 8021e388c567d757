"""An image whose uncompressed layers are compressed before it is pushed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import DOCKER_LAYER, DOCKER_LAYER_GZIP, OCI_LAYER, OCI_LAYER_GZIP
from aioecrpublic.images.blobs import BytesBlob, FileBlob
from aioecrpublic.images.config import is_image_config
from aioecrpublic.images.digest import new_hash, sha256_digest, verify_hash
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.graph import load_image
from aioecrpublic.images.handles import OpenFiles
from aioecrpublic.images.manifest import ATTESTATION_OF, MAX_MANIFEST_SIZE, parse_manifest
from aioecrpublic.images.packing import CHUNK, Compressor, Spool
from aioecrpublic.images.source import SourceLifecycle, SupportsCompression, SupportsOwnTag, SupportsReferrers
from aioecrpublic.images.tarindex import is_tar
from aioecrpublic.images.threads import finish_in_thread, map_bounded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.graph import ImageGraph
    from aioecrpublic.images.handles import FileRange
    from aioecrpublic.images.jsondoc import JSON, JSONObject
    from aioecrpublic.images.manifest import Manifest
    from aioecrpublic.images.source import Blob, BlobReader, ImageSource

_COMPRESSED = {OCI_LAYER: OCI_LAYER_GZIP, DOCKER_LAYER: DOCKER_LAYER_GZIP}
"""The media types of uncompressed layers, and what they become."""

_READ_AT_ONCE = 8 * CHUNK
_WORKERS = min(4, os.cpu_count() or 1)


@attrs.frozen
class _Compressed:
    """A layer as it is stored after compression."""

    content: FileRange
    digest: str
    media_type: str


class CompressedImage(SourceLifecycle):
    """The image of another source, with its uncompressed layers compressed by gzip.

    Layers are compressed where their media type says that they are uncompressed, they are tar files, and the
    image has a config, so that they are not the files of some artifact. The manifests and indexes that list
    them are written anew with other digests and sizes; all else stays as it is. The result is the same for
    the same image and the same version of ``isal``.

    An image stays as it is if anything in the source refers to it by its digest, such as a signature or an
    attestation: that is a statement about these very bytes, and would be lost.

    Args:
        source: The other source. It is opened and closed with this one.
        platforms: Choose these of an index first, so that the layers of others need not be compressed.
    """

    def __init__(self, source: ImageSource, *, platforms: Sequence[str] | None = None) -> None:
        self._count = 0
        self._source = source
        self._platforms = platforms
        self._root: Descriptor | None = None
        self._manifests: dict[str, bytes] = {}
        self._configs: dict[str, bytes] = {}
        self._layers: dict[str, FileRange] = {}
        self._checked: set[tuple[str, int]] = set()
        self._files = OpenFiles()
        self._entered = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return self._source.name

    @property
    def own_tag(self) -> str | None:
        """The one tag that the image has in the source, None if it has none or several."""
        return self._source.own_tag if isinstance(self._source, SupportsOwnTag) else None

    @property
    def layers_compressed(self) -> int:
        """How many layers were compressed, each once however often it occurs; 0 before it is open."""
        source = self._source
        return self._count + (source.layers_compressed if isinstance(source, SupportsCompression) else 0)

    async def open(self) -> Descriptor:
        """Open the source, compress its layers, and return the root of what has become of the image."""
        async with self._opening:
            if self._closed:
                raise ImageError(f"{self.name}: used after it was closed")
            if self._root is None:
                try:
                    await self._entered.enter_async_context(self._source)
                    self._root = await self._compress_image()
                except BaseException:
                    await self.close()
                    raise
            return self._root

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        """Return the exact bytes of a manifest, checked against size and digest."""
        await self.open()
        raw = self._manifests.get(descriptor.digest)
        if raw is None:
            return await self._source.read_manifest(descriptor)
        self._check_size(descriptor, len(raw))
        return raw

    async def open_blob(self, descriptor: Descriptor) -> Blob:
        """Open a blob, which must exist and have the descriptor's size."""
        await self.open()
        content = self._layers.get(descriptor.digest)
        if content is not None:
            self._check_size(descriptor, len(content))
            return FileBlob(descriptor, content, _keep)
        config = self._configs.get(descriptor.digest)
        if config is not None:
            self._check_size(descriptor, len(config))
            return BytesBlob(descriptor, config)
        return await self._source.open_blob(descriptor)

    async def check_blob(self, descriptor: Descriptor) -> None:
        """Check that a blob exists and has the descriptor's size."""
        await self.open()
        if (descriptor.digest, descriptor.size) in self._checked:
            return
        content = self._layers.get(descriptor.digest)
        if content is None:
            await self._source.check_blob(descriptor)
        else:
            self._check_size(descriptor, len(content))

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests beside the image that refer to ``digest`` as their subject."""
        return await self._attachable.referrers(digest)

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under names made of its digest, by name."""
        return await self._attachable.cosign_tags(digest)

    async def close(self) -> None:
        """Close the source, and free the compressed layers."""
        self._closed = True
        try:
            await finish_in_thread(self._files.close)
        finally:
            await self._entered.aclose()

    async def _load(self) -> ImageGraph | None:
        """Return the image of the opened source, None to leave it as it is."""
        return await load_image(self._source, platforms=self._platforms)

    @property
    def _attachable(self) -> SupportsReferrers:
        if not isinstance(self._source, SupportsReferrers):
            kind = type(self._source).__name__
            raise ImageError(f"{self.name}: {kind} cannot list what is attached to its image")
        return self._source

    async def _compress_image(self) -> Descriptor:
        root = await self._source.open()
        graph = await self._load()
        if graph is None:
            return root
        self._configs.update(graph.configs)
        self._checked = {(blob.digest, blob.size) for blob in graph.blobs}
        parsed = await asyncio.to_thread(_parse, graph, self.name)
        plain = {digest: layers for digest, manifest in parsed.items() if (layers := _plain_layers(manifest))}
        if plain:
            for digest in await self._fixed(graph, parsed, plain.keys()):
                plain.pop(digest, None)
        unique = {layer.digest: layer for layers in plain.values() for layer in layers}
        compressed = await self._compress_layers(list(unique.values()))
        self._layers = {layer.digest: layer.content for layer in compressed.values()}
        self._count = len(compressed)
        return await asyncio.to_thread(self._rewrite, graph, parsed, plain.keys(), compressed)

    async def _fixed(self, graph: ImageGraph, parsed: dict[str, Manifest], plain: Iterable[str]) -> set[str]:
        """Return the digests of manifests that must stay: something refers to them or to an index above."""
        changing = set(plain)
        for node in graph.manifests:
            if not changing.isdisjoint(node.children):
                changing.add(node.descriptor.digest)
        referred = {manifest.subject.digest for manifest in parsed.values() if manifest.subject is not None}
        for manifest in parsed.values():
            referred.update(entry.annotations.get(ATTESTATION_OF, "") for entry in manifest.manifests)
        if isinstance(self._source, SupportsReferrers):
            source = self._source
            for digest in sorted(changing - referred):
                if await source.referrers(digest) or await source.cosign_tags(digest):
                    referred.add(digest)
        fixed = referred & changing
        for node in reversed(graph.manifests):
            if node.descriptor.digest in fixed:
                fixed.update(node.children)
        return fixed

    async def _compress_layers(self, layers: Sequence[Descriptor]) -> dict[str, _Compressed]:
        """Return what has become of each layer, by its digest; those that are no tar files are left out."""
        workers = min(_WORKERS, len(layers))
        spools = [await asyncio.to_thread(Spool, self._files, self.name) for _ in range(workers)]

        async def compress(layer: Descriptor) -> _Compressed | None:
            spool = spools.pop()
            try:
                return await self._compress_layer(layer, spool)
            finally:
                spools.append(spool)

        results = await map_bounded(compress, layers, limit=workers)
        return {
            layer.digest: result for layer, result in zip(layers, results, strict=True) if result is not None
        }

    async def _compress_layer(self, layer: Descriptor, spool: Spool) -> _Compressed | None:
        writer = _LayerWriter(layer, spool, f"{self.name}: layer {layer.digest}")
        blob = await self._source.open_blob(layer)
        try:
            for offset in range(0, layer.size, _READ_AT_ONCE):
                content = await blob.read(offset, min(_READ_AT_ONCE, layer.size - offset))
                if not await asyncio.to_thread(writer.add, content):
                    return None
            return await asyncio.to_thread(writer.finish)
        finally:
            await blob.close()

    def _rewrite(
        self,
        graph: ImageGraph,
        parsed: dict[str, Manifest],
        changing: Collection[str],
        compressed: dict[str, _Compressed],
    ) -> Descriptor:
        """Write the manifests anew that list what has changed, children first; return the new root."""
        layers: dict[str, JSONObject] = {
            digest: {"mediaType": layer.media_type, "digest": layer.digest, "size": len(layer.content)}
            for digest, layer in compressed.items()
        }
        manifests: dict[str, JSONObject] = {}
        rewritten = graph.root.descriptor
        for node in graph.manifests:
            digest, document = node.descriptor.digest, parsed[node.descriptor.digest].document
            changed = _with_changes(document, "manifests", manifests)
            if digest in changing:
                changed = _with_changes(changed, "layers", layers)
            raw = node.raw if changed == document else self._encode(changed)
            rewritten = node.descriptor
            if raw is not node.raw:
                rewritten = attrs.evolve(rewritten, digest=sha256_digest(raw), size=len(raw))
                manifests[digest] = {"digest": rewritten.digest, "size": rewritten.size}
            self._manifests[rewritten.digest] = raw
        return rewritten

    def _encode(self, document: JSONObject) -> bytes:
        raw = json.dumps(document, separators=(",", ":")).encode("ascii")
        if len(raw) > MAX_MANIFEST_SIZE:
            raise ImageError(
                f"{self.name}: with compressed layers a manifest has {len(raw)} bytes, "
                f"more than {MAX_MANIFEST_SIZE}"
            )
        return raw

    def _check_size(self, descriptor: Descriptor, size: int) -> None:
        if size != descriptor.size:
            raise ImageError(
                f"{self.name}: {descriptor.digest} has {size} bytes, "
                f"but its descriptor says {descriptor.size}"
            )


class _LayerWriter:
    """Compresses one layer into a spool, and holds its bytes against their digest; in worker threads."""

    def __init__(self, layer: Descriptor, spool: Spool, where: str) -> None:
        self._layer = layer
        self._spool = spool
        self._where = where
        self._start = spool.end
        self._plain = new_hash(layer.digest)
        self._stored = hashlib.sha256()
        self._compressor = Compressor()
        self._begun = False

    def add(self, content: bytes | BlobReader) -> bool:
        """Compress what comes next; False if the layer turns out to be no tar file."""
        for offset in range(0, len(content), CHUNK):
            length = min(CHUNK, len(content) - offset)
            chunk = (
                content[offset : offset + length]
                if isinstance(content, bytes)
                else content.read_at(offset, length)
            )
            if not self._begun and not is_tar(chunk):
                return False
            self._begun = True
            self._plain.update(chunk)
            self._write(self._compressor.add(chunk))
        return True

    def finish(self) -> _Compressed:
        """Return the compressed layer."""
        self._write(self._compressor.finish())
        verify_hash(self._plain, self._layer.digest, self._where)
        return _Compressed(
            self._spool.since(self._start),
            f"sha256:{self._stored.hexdigest()}",
            _COMPRESSED[self._layer.media_type],
        )

    def _write(self, data: bytes) -> None:
        self._stored.update(data)
        self._spool.write(data)


def _parse(graph: ImageGraph, name: str) -> dict[str, Manifest]:
    return {
        node.descriptor.digest: parse_manifest(
            node.raw, node.descriptor, f"{name}: manifest {node.descriptor.digest}"
        )
        for node in graph.manifests
    }


def _plain_layers(manifest: Manifest) -> list[Descriptor]:
    """Return the layers of an image that are not compressed."""
    if manifest.config is None or not is_image_config(manifest.config):
        return []
    return [layer for layer in manifest.layers if layer.media_type in _COMPRESSED]


def _with_changes(document: JSONObject, key: str, changes: dict[str, JSONObject]) -> JSONObject:
    """Return a manifest in which some of the descriptors of a list are others."""
    entries = document.get(key)
    if not isinstance(entries, list):
        return document
    return {**document, key: [_changed(entry, changes) for entry in entries]}


def _changed(entry: JSON, changes: dict[str, JSONObject]) -> JSON:
    change = changes.get(str(entry.get("digest"))) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or change is None:
        return entry
    if "mediaType" in change and entry["mediaType"] not in _COMPRESSED:
        # The same bytes under another name, such as a layer that is not to be distributed.
        return entry
    # Where the old content is to be had, and the old content itself, are no longer true.
    return {name: value for name, value in entry.items() if name not in {"urls", "data"}} | change


def _keep(_content: FileRange) -> None:
    """Leave a layer's file open: all layers of one worker are in it."""
