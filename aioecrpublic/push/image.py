"""One image into a repository: read it, check what is there, upload the rest, put the manifests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import attrs

from aioecrpublic.images import load_image
from aioecrpublic.images.blobs import BytesBlob
from aioecrpublic.images.source import SupportsCompression
from aioecrpublic.push.attached import Pushed
from aioecrpublic.push.events import LayerSkipped, PushCompleted, PushStarted
from aioecrpublic.push.layer import LayerUpload
from aioecrpublic.push.manifests import put_manifest
from aioecrpublic.push.result import LayerResult, PushResult
from aioecrpublic.push.sizes import check_layer_size
from aioecrpublic.push.tasks import run_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aioecrpublic.images import Blob, Descriptor, ImageGraph, ImageSource, ManifestNode
    from aioecrpublic.push.destination import Destination
    from aioecrpublic.push.layer import UploadOptions
    from aioecrpublic.push.repository import KnownLayers


@attrs.frozen(kw_only=True)
class ImageOptions:
    """What is asked for of one image.

    Attributes:
        tags: The tags that it gets.
        platforms: The platforms of an index that are wanted; ``None`` is the whole of it.
        include_nondistributable: Whether to push layers that are meant to be fetched from elsewhere.
        create_repository: Whether to make the repository if it is not there.
        jobs: Layers in flight.
    """

    tags: tuple[str, ...]
    platforms: Sequence[str] | None
    include_nondistributable: bool
    create_repository: bool
    jobs: int


class ImagePush:
    """One push of one image; run it once.

    Args:
        source: The opened image.
        destination: The repository.
        options: What is asked for.
        upload: What all layers have in common.
        known: What is known about the repository, shared with the pushes beside this one.
        slots: The layers that may be in flight, shared with the pushes beside this one.
    """

    def __init__(
        self,
        source: ImageSource,
        destination: Destination,
        *,
        options: ImageOptions,
        upload: UploadOptions,
        known: KnownLayers,
        slots: asyncio.Semaphore,
    ) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._upload = upload
        self._known = known
        self._slots = slots
        self._emitter = upload.emitter
        self._results: dict[str, LayerResult] = {}
        self._configs: Mapping[str, bytes] = {}
        self._there: dict[str, asyncio.Event] = {}
        self._put_there: dict[str, asyncio.Event] = {}

    async def run(self) -> Pushed:
        """Push the image.

        Raises:
            ImageError: The image is not what it says; nothing of it was put.
            PushError: It could not be finished.
            ServiceError: The service refuses it.
        """
        started = time.monotonic()
        graph = await self._load()
        if self._options.create_repository:
            await self._destination.create()
        root = graph.root.descriptor
        await self._emitter.emit(
            PushStarted(
                digest=root.digest,
                layers=len(graph.blobs),
                total_bytes=sum(blob.size for blob in graph.blobs),
            )
        )
        async with asyncio.TaskGroup() as group:
            uri = group.create_task(self._destination.uri())
            group.create_task(run_whole(self._bring_layers, group, graph))
            await self._put_manifests(group, graph)
        result = self._result(graph, uri.result(), time.monotonic() - started)
        await self._emitter.emit(PushCompleted(result=result))
        return Pushed(result, tuple(node.descriptor.digest for node in graph.manifests))

    async def _load(self) -> ImageGraph:
        graph = await load_image(
            self._source,
            platforms=self._options.platforms,
            include_nondistributable=self._options.include_nondistributable,
        )
        for blob in graph.blobs:
            check_layer_size(f"layer {blob.digest}", blob.size)
        self._configs = graph.configs
        # A blob may have the very bytes of a manifest: what is uploaded is not put yet.
        self._there = {blob.digest: asyncio.Event() for blob in graph.blobs}
        self._put_there = {node.descriptor.digest: asyncio.Event() for node in graph.manifests}
        return graph

    async def _bring_layers(self, group: asyncio.TaskGroup, graph: ImageGraph) -> None:
        """Check batch after batch, while what was found missing is already on its way."""
        # The largest first: a layer is a sequence of parts, so the last to begin should be a short one.
        blobs = {blob.digest: blob for blob in sorted(graph.blobs, key=lambda blob: -blob.size)}
        missing: asyncio.Queue[Descriptor | None] = asyncio.Queue()
        workers = min(self._options.jobs, len(blobs))
        for _ in range(workers):
            group.create_task(run_whole(self._work, missing))
        unknown = [digest for digest in blobs if digest not in self._known.there]
        for digest in blobs.keys() - set(unknown):
            await self._skip(blobs[digest])
        async for batch, lacking in self._destination.missing_in_batches(unknown):
            for digest in batch:
                if digest in lacking:
                    missing.put_nowait(blobs[digest])
                else:
                    self._known.there.add(digest)
                    await self._skip(blobs[digest])
        for _ in range(workers):
            missing.put_nowait(None)

    async def _work(self, missing: asyncio.Queue[Descriptor | None]) -> None:
        while (blob := await missing.get()) is not None:
            await self._bring(blob)

    async def _bring(self, blob: Descriptor) -> None:
        async with self._known.claim(blob.digest) as lacking:
            if lacking:
                async with self._slots:
                    self._results[blob.digest] = await self._upload_blob(blob)
                self._known.there.add(blob.digest)
                self._there[blob.digest].set()
            else:
                await self._skip(blob)

    async def _upload_blob(self, descriptor: Descriptor) -> LayerResult:
        config = self._configs.get(descriptor.digest)
        blob: Blob
        if config is None:
            blob = await self._source.open_blob(descriptor)
        else:
            blob = BytesBlob(descriptor, config)
        try:
            name = f"{self._source.name}: blob {descriptor.digest}"
            return await LayerUpload(self._destination, blob, self._upload, name).run()
        finally:
            await blob.close()

    async def _skip(self, blob: Descriptor) -> None:
        if self._there[blob.digest].is_set():
            # Another manifest that refers to it has brought it again meanwhile: its end was told.
            return
        if self._upload.journal is not None:
            # An upload of it may have ended without our hearing of it.
            await self._upload.journal.forget(self._destination, blob.digest)
        await self._emitter.emit(LayerSkipped(digest=blob.digest, size=blob.size, media_type=blob.media_type))
        # Last: a manifest is put, and told, after the ends of all its layers.
        self._there[blob.digest].set()

    async def _put_manifests(self, group: asyncio.TaskGroup, graph: ImageGraph) -> None:
        """Put every manifest once what it refers to is there, the root last, once for each tag."""
        # A layer whose bytes turn out to be wrong must not leave half an index behind: before the service has
        # verified every layer, no manifest is put.
        for blob in graph.blobs:
            await self._there[blob.digest].wait()
        for node in graph.manifests[:-1]:
            group.create_task(run_whole(self._put, node, graph))
        await self._wait_for_children(graph.root)
        for tag in self._options.tags or (None,):
            await self._put_now(graph.root, graph, tag)

    async def _put(self, node: ManifestNode, graph: ImageGraph) -> None:
        await self._wait_for_children(node)
        await self._put_now(node, graph, None)
        self._put_there[node.descriptor.digest].set()

    async def _wait_for_children(self, node: ManifestNode) -> None:
        for child in node.children:
            await self._put_there[child].wait()

    async def _put_now(self, node: ManifestNode, graph: ImageGraph, tag: str | None) -> None:
        async def restore(node: ManifestNode) -> None:
            await self._restore(node, graph)

        await put_manifest(self._destination, node, tag, emitter=self._emitter, restore=restore)

    async def _restore(self, node: ManifestNode, graph: ImageGraph) -> None:
        """Bring again what has disappeared of what a manifest refers to."""
        blobs = {blob.digest: blob for blob in node.blobs}
        async for _, lacking in self._destination.missing_in_batches(list(blobs)):
            self._known.there -= lacking
            for digest in sorted(lacking):
                await self._bring(blobs[digest])
        for child in graph.manifests:
            if child.descriptor.digest in node.children:
                await self._put_now(child, graph, None)

    def _result(self, graph: ImageGraph, uri: str | None, elapsed: float) -> PushResult:
        root = graph.root.descriptor
        uploaded = {digest for digest, result in self._results.items() if result.uploaded}
        brought = sum(blob.size for blob in graph.blobs if blob.digest in uploaded)
        reference = f":{self._options.tags[0]}" if self._options.tags else f"@{root.digest}"
        return PushResult(
            digest=root.digest,
            media_type=root.media_type,
            tags=self._options.tags,
            repository_uri=uri,
            image_uri=None if uri is None else f"{uri}{reference}",
            layers_uploaded=len(uploaded),
            layers_skipped=len(graph.blobs) - len(uploaded),
            bytes_uploaded=brought,
            bytes_skipped=sum(blob.size for blob in graph.blobs) - brought,
            elapsed=elapsed,
            retries=self._destination.retries + sum(result.retries for result in self._results.values()),
            layers_compressed=(
                self._source.layers_compressed if isinstance(self._source, SupportsCompression) else 0
            ),
        )
