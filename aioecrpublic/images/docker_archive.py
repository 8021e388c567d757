"""What `docker save` and its like write: a tar file with an OCI layout, or only with a `manifest.json`.

The second, older form has no image manifest and its layers are uncompressed. It is presented as the layout of
an image of such layers. In either form they are compressed afterwards, as `docker push` would have done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from aioecrpublic.images import jsondoc
from aioecrpublic.images.archive import EXPANSION_FLOOR, ArchiveFiles, ArchiveSource
from aioecrpublic.images.compressing import CompressedImage
from aioecrpublic.images.config import MAX_CONFIG_SIZE
from aioecrpublic.images.digest import check_digest, new_hash, sha256_digest, verify, verify_hash
from aioecrpublic.images.errors import ImageError, listed, shown
from aioecrpublic.images.layout import CONTAINERD_NAME, blob_path
from aioecrpublic.images.manifest import MAX_ENTRIES, MAX_MANIFEST_SIZE
from aioecrpublic.images.packing import Spool, chunks, decompressed, detect
from aioecrpublic.images.reference import familiar_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from hashlib import _Hash

    from aioecrpublic.images.graph import ImageGraph
    from aioecrpublic.images.handles import FileRange
    from aioecrpublic.images.jsondoc import JSON, JSONObject
    from aioecrpublic.images.packing import Format

_MANIFEST_FILE = "manifest.json"
_WORKERS = min(4, os.cpu_count() or 1)
_MAX_LAYER_EXPANSION = 1100
"""Deflate cannot expand more than 1032 times; layers with large empty files come close."""
_HEX_NAME = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?")
_DOCKER_LAYERS: dict[Format | None, str] = {None: DOCKER_LAYER, "gzip": DOCKER_LAYER_GZIP}
# Docker has no media type for zstd.
_OCI_LAYERS: dict[Format | None, str] = {None: OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


class SavedImage(CompressedImage):
    """An image in an archive, compressed if that is wanted and possible: the base of `DockerArchive`."""

    def _is_wanted(self) -> bool:
        """Tell, once the archive is open, whether to compress."""
        raise NotImplementedError

    async def _load(self) -> ImageGraph | None:
        if not self._is_wanted():
            return None
        try:
            return await super()._load()
        except ImageError:
            # Docker saves an index also of platforms that it does not have. What is missing or wrong is for
            # those to be told who read the image; they may want another part of it.
            return None


class DockerArchive(SavedImage):
    """An image in a docker-archive, as `docker save` and `skopeo copy … docker-archive:` write it.

    If it holds an OCI layout (Docker 25 and later), the image is taken from there. Otherwise a manifest is
    made for it. Each layer is checked against its digest or the config's `rootfs.diff_ids`.

    Uncompressed layers are compressed when it is opened, as `docker push` does and `CompressedImage` says;
    the result is the same for the same archive and the same version of `isal`. What is compressed already
    stays as it is, byte for byte.

    Args:
        path: the tar file; it may be compressed by gzip, zstd, xz or bzip2. `-` is standard input.
        reference: which image, if there are several: one of its `RepoTags`, such as `app:1.0`, or in the
            first form any reference that `OCILayout` takes.
        max_unpacked_size: bytes of disk that a compressed archive may take when it is decompressed; None:
            64 MiB and 100 times its own size. Compressing layers takes disk besides that.
        compress: whether to compress uncompressed layers; False takes them as they are.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        reference: str | None = None,
        *,
        max_unpacked_size: int | None = None,
        compress: bool = True,
    ) -> None:
        path = os.fspath(path)
        archive = ArchiveFiles(path, f"docker-archive:{path}", max_unpacked_size)
        super().__init__(ArchiveSource(DockerFiles(archive, reference), reference))
        self.compress: bool = compress

    def _is_wanted(self) -> bool:
        return self.compress


class DetectedArchive(SavedImage):
    """An image in an archive of any kind, which what is in it tells.

    Args:
        path: the tar file; `-` is standard input.
        reference: which image.
        compress: whether to compress uncompressed layers if Docker can load the archive, as `DockerArchive`
            does; an OCI archive is always taken as it is.
    """

    def __init__(self, path: str, reference: str | None, *, compress: bool) -> None:
        self._docker_files = DockerFiles(ArchiveFiles(path, path), reference)
        super().__init__(ArchiveSource(self._docker_files, reference))
        self._compress = compress

    def _is_wanted(self) -> bool:
        return self._compress and self._docker_files.for_docker


class DockerFiles:
    """The files of an archive, as an OCI layout in either case."""

    def __init__(self, archive: ArchiveFiles, reference: str | None) -> None:
        """Present `archive`; of the older form only the image `reference`, or the only one."""
        self.for_docker: bool = False
        self._archive = archive
        self._reference = reference
        self._converted: dict[str, FileRange] | None = None

    @property
    def name(self) -> str:
        """What the archive is called in messages."""
        return self._archive.name

    def open(self) -> None:
        """Open the archive, and convert the image if there is no layout in it."""
        self._archive.open()
        self.for_docker = self._archive.has(_MANIFEST_FILE)
        if not (self._archive.has("oci-layout") and self._archive.has("index.json")):
            self._converted = _Conversion(self._archive, self._reference).run()

    def find(self, path: str) -> FileRange | None:
        """Return the content of the file at `path`, None if there is none."""
        return self._archive.find(path) if self._converted is None else self._converted.get(path)

    def release(self, content: FileRange) -> None:
        """Do nothing: all files are ranges of few."""

    def close(self) -> None:
        """Close the archive and remove the temporary files."""
        self._archive.close()


@attrs.frozen
class _Layer:
    """A layer as `manifest.json` names it."""

    content: FileRange
    diff_id: str
    where: str

    @property
    def key(self) -> tuple[int, int, str]:
        """The same for the same content, whatever links lead to it."""
        return (self.content.start, len(self.content), self.diff_id)


@attrs.frozen
class _Stored:
    """A layer as the image that is made has it."""

    content: FileRange
    digest: str
    kind: Format | None


class _Conversion:
    """Makes the files of an OCI layout from one image of a `manifest.json`."""

    def __init__(self, archive: ArchiveFiles, reference: str | None) -> None:
        self._archive = archive
        self._name = archive.name
        self._reference = reference
        self._files: dict[str, FileRange] = {}

    def run(self) -> dict[str, FileRange]:
        """Return the files by their path."""
        entry = self._choose(self._read_manifest_file())
        config = self._read_config(entry)
        layers = _store_all(self._archive, self._layers(entry, config))
        for layer in layers:
            self._files[_blob(layer.digest)] = layer.content
        self._write(config, layers, self._names(entry))
        return self._files

    def _read_manifest_file(self) -> list[JSONObject]:
        where = f"{self._name}: {_MANIFEST_FILE}"
        content = self._archive.find(_MANIFEST_FILE)
        if content is None:
            raise ImageError(f"{self._name}: neither index.json and oci-layout nor {_MANIFEST_FILE} in it")
        document = jsondoc.parse(_read(content, MAX_MANIFEST_SIZE, where), where)
        if not isinstance(document, list) or not document:
            raise ImageError(f"{where}: not a list of images")
        return [jsondoc.as_object(entry, f"{where}: entry {number}") for number, entry in enumerate(document)]

    def _choose(self, entries: Sequence[JSONObject]) -> JSONObject:
        where = f"{self._name}: {_MANIFEST_FILE}"
        tags = [jsondoc.texts(entry, "RepoTags", where) for entry in entries]
        chosen = [
            entry
            for entry, names in zip(entries, tags, strict=True)
            if self._reference is None or _is_named(names, self._reference)
        ]
        if len(chosen) == 1:
            return chosen[0]
        there = listed([name for names in tags for name in names[:3]]) or "none with a name"
        if self._reference is None:
            raise ImageError(f"{where} lists {len(entries)} images; choose one of {there}")
        problem = f"{len(chosen)} images are called" if chosen else "no image"
        raise ImageError(f"{where}: {problem} {shown(self._reference)}; there are {there}")

    def _read_config(self, entry: JSONObject) -> bytes:
        where = f"{self._name}: {_MANIFEST_FILE}"
        path = jsondoc.text(entry, "Config", where)
        if path is None:
            raise ImageError(f"{where}: Config is missing")
        where = f"{self._name}: config {shown(path)}"
        raw = _read(self._find(path), MAX_CONFIG_SIZE, where)
        named = _HEX_NAME.fullmatch(path)
        if named is not None:
            verify(raw, f"sha256:{named[1]}", where)
        return raw

    def _layers(self, entry: JSONObject, config: bytes) -> list[_Layer]:
        paths = jsondoc.texts(entry, "Layers", f"{self._name}: {_MANIFEST_FILE}")
        where = f"{self._name}: config"
        rootfs = jsondoc.sub_object(jsondoc.parse_object(config, where), "rootfs", where) or {}
        diff_ids = [
            check_digest(value, f"{where}: rootfs.diff_ids[{number}]")
            for number, value in enumerate(jsondoc.items(rootfs, "diff_ids", f"{where}: rootfs"))
        ]
        if len(paths) != len(diff_ids):
            raise ImageError(
                f"{where} has {len(diff_ids)} rootfs.diff_ids, but {_MANIFEST_FILE} lists {len(paths)} layers"
            )
        if len(paths) > MAX_ENTRIES:
            raise ImageError(f"{where}: {len(paths)} layers, more than {MAX_ENTRIES}")
        return [
            _Layer(self._find(path), diff_id, f"{self._name}: layer {shown(path)}")
            for path, diff_id in zip(paths, diff_ids, strict=True)
        ]

    def _find(self, path: str) -> FileRange:
        content = self._archive.find(path)
        if content is None:
            raise ImageError(f"{self._name}: {shown(path)}, which {_MANIFEST_FILE} names, is missing")
        return content

    def _names(self, entry: JSONObject) -> list[str]:
        """Return the names of the image; those that it was chosen by, if it was."""
        names = jsondoc.texts(entry, "RepoTags", f"{self._name}: {_MANIFEST_FILE}")
        return [name for name in names if self._reference is None or _is_named([name], self._reference)]

    def _write(self, config: bytes, layers: Sequence[_Stored], names: Sequence[str]) -> None:
        # A Docker manifest, as the config is Docker's, as long as Docker has names for all that is in it.
        docker = all(layer.kind in _DOCKER_LAYERS for layer in layers)
        media_type, config_type, layer_types = (
            (DOCKER_MANIFEST, DOCKER_CONFIG, _DOCKER_LAYERS)
            if docker
            else (OCI_MANIFEST, OCI_CONFIG, _OCI_LAYERS)
        )
        manifest = _encode(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "config": _descriptor(config_type, sha256_digest(config), len(config)),
                "layers": [
                    _descriptor(layer_types[layer.kind], layer.digest, len(layer.content)) for layer in layers
                ],
            }
        )
        entry = _descriptor(media_type, sha256_digest(manifest), len(manifest))
        entries: list[JSON] = [{**entry, "annotations": {CONTAINERD_NAME: name}} for name in names]
        index = _encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries or [entry]})
        spool = Spool(self._archive.opened, self._name)
        self._files |= {
            _blob(sha256_digest(config)): spool.append([config]),
            _blob(sha256_digest(manifest)): spool.append([manifest]),
            "index.json": spool.append([index]),
            "oci-layout": spool.append([_encode({"imageLayoutVersion": "1.0.0"})]),
        }


def _store_all(archive: ArchiveFiles, layers: Sequence[_Layer]) -> list[_Stored]:
    """Prepare layers, several at a time, and each once however often it occurs."""
    spools: SimpleQueue[Spool] = SimpleQueue()
    for _ in range(_WORKERS):
        spools.put(Spool(archive.opened, archive.name))

    def store(layer: _Layer) -> _Stored:
        spool = spools.get()
        try:
            return _store(layer, spool)
        finally:
            spools.put(spool)

    unique = {layer.key: layer for layer in layers}
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="aioecrpublic-layers") as pool:
        futures = {key: pool.submit(store, layer) for key, layer in unique.items()}
        try:
            for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            # Those still at work stop at their next read.
            pool.shutdown(wait=False, cancel_futures=True)
            archive.close()
            raise
    return [futures[layer.key].result() for layer in layers]


def _store(layer: _Layer, spool: Spool) -> _Stored:
    """Return a layer as the image has it; what is compressed is checked against its diff_id.

    A plain layer has its diff_id for a digest, which is checked when it is compressed or uploaded.
    """
    kind = detect(layer.content)
    if kind is None:
        return _Stored(layer.content, layer.diff_id, None)
    plain = new_hash(layer.diff_id)
    limit = EXPANSION_FLOOR + _MAX_LAYER_EXPANSION * len(layer.content)
    pieces = _hashed(decompressed(layer.content, kind, layer.where, limit), plain)
    if kind in _OCI_LAYERS:
        stored = hashlib.sha256()
        for _ in pieces:
            continue
        for piece in chunks(layer.content):
            stored.update(piece)
        digest, content = f"sha256:{stored.hexdigest()}", layer.content
    else:
        # No image may have such layers, though Docker loads them.
        digest, content, kind = layer.diff_id, spool.append(pieces), None
    verify_hash(plain, layer.diff_id, layer.where)
    return _Stored(content, digest, kind)


def _hashed(pieces: Iterable[bytes], into: _Hash) -> Iterator[bytes]:
    for piece in pieces:
        into.update(piece)
        yield piece


def _is_named(names: Iterable[str], reference: str) -> bool:
    return any(name == reference or familiar_name(name) == familiar_name(reference) for name in names)


def _read(content: FileRange, limit: int, where: str) -> bytes:
    if len(content) > limit:
        raise ImageError(f"{where} has {len(content)} bytes, more than {limit}")
    return content.read_at(0, len(content))


def _encode(document: JSON) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _descriptor(media_type: str, digest: str, size: int) -> JSONObject:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _blob(digest: str) -> str:
    return blob_path(digest, digest)
