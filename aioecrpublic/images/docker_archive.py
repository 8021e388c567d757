"""What `docker save` and its like write: a tar file with an OCI layout, or only with a `manifest.json`.

The second, older form has no image manifest and its layers are uncompressed. It is presented as the layout
that a registry would get: layers compressed once into a temporary file, and a manifest made for them.
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
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from aioecrpublic.images import jsondoc
from aioecrpublic.images.archive import EXPANSION_FLOOR, ArchiveFiles
from aioecrpublic.images.config import MAX_CONFIG_SIZE
from aioecrpublic.images.digest import check_digest, new_hash, sha256_digest, verify, verify_hash
from aioecrpublic.images.errors import ImageError, listed, shown
from aioecrpublic.images.layout import REF_NAME, LayoutSource, blob_path
from aioecrpublic.images.manifest import MAX_ENTRIES, MAX_MANIFEST_SIZE
from aioecrpublic.images.packing import Spool, chunks, compressed, decompressed, detect
from aioecrpublic.images.reference import familiar_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from hashlib import _Hash

    from aioecrpublic.images.handles import FileRange
    from aioecrpublic.images.jsondoc import JSON, JSONObject
    from aioecrpublic.images.packing import Format

_MANIFEST_FILE = "manifest.json"
_WORKERS = min(4, os.cpu_count() or 1)
_MAX_LAYER_EXPANSION = 1100
"""Deflate cannot expand more than 1032 times; layers with large empty files come close."""
_HEX_NAME = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?")


class DockerArchive(LayoutSource):
    """An image in a docker-archive, as `docker save` and `skopeo copy … docker-archive:` write it.

    If it holds an OCI layout (Docker 25 and later), the image is taken from there, byte for byte. Otherwise
    its layers, which are uncompressed there, are compressed once, when it is opened, and an image manifest
    is made; the result is the same for the same archive and the same version of `isal`. Layers that are
    compressed already are taken as they are. Each layer is checked against the config's `rootfs.diff_ids`.

    Args:
        path: the tar file; it may be compressed by gzip or zstd.
        reference: which image, if there are several: one of its `RepoTags`, such as `app:1.0`, or in the
            first form any reference that `OCILayout` takes.
        max_unpacked_size: bytes of disk that a compressed archive may take when it is decompressed; None:
            64 MiB and 100 times its own size. Compressing layers takes disk besides that.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        reference: str | None = None,
        *,
        max_unpacked_size: int | None = None,
    ) -> None:
        path = os.fspath(path)
        archive = ArchiveFiles(path, f"docker-archive:{path}", max_unpacked_size)
        super().__init__(DockerFiles(archive, reference), reference)


class DockerFiles:
    """The files of an archive, as an OCI layout in either case."""

    def __init__(self, archive: ArchiveFiles, reference: str | None) -> None:
        """Present `archive`; of the older form only the image `reference`, or the only one."""
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
        if self._archive.find("oci-layout") is None or self._archive.find("index.json") is None:
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
    """A layer as it is in the archive."""

    content: FileRange
    diff_id: str
    where: str

    @property
    def key(self) -> tuple[int, int, str]:
        """The same for the same content, whatever links lead to it."""
        return (self.content.start, len(self.content), self.diff_id)


@attrs.frozen
class _Packed:
    """A layer as it is stored in the registry."""

    content: FileRange
    digest: str
    kind: Format


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
        layers = self._layers(entry, config)
        packed = _pack_all(self._archive, layers)
        for layer in packed:
            self._files[_blob(layer.digest)] = layer.content
        self._write(config, packed)
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

    def _write(self, config: bytes, layers: Sequence[_Packed]) -> None:
        # A Docker manifest, as the config is Docker's; but only OCI has a media type for zstd.
        oci = any(layer.kind == "zstd" for layer in layers)
        gzip_type = OCI_LAYER_GZIP if oci else DOCKER_LAYER_GZIP
        media_type = OCI_MANIFEST if oci else DOCKER_MANIFEST
        manifest = _encode(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "config": _descriptor(
                    OCI_CONFIG if oci else DOCKER_CONFIG, sha256_digest(config), len(config)
                ),
                "layers": [
                    _descriptor(
                        OCI_LAYER_ZSTD if layer.kind == "zstd" else gzip_type,
                        layer.digest,
                        len(layer.content),
                    )
                    for layer in layers
                ],
            }
        )
        entry = _descriptor(media_type, sha256_digest(manifest), len(manifest))
        if self._reference is not None:
            entry["annotations"] = {REF_NAME: self._reference}
        index = _encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
        spool = Spool(self._archive.opened, self._name)
        self._files |= {
            _blob(sha256_digest(config)): spool.append([config]),
            _blob(sha256_digest(manifest)): spool.append([manifest]),
            "index.json": spool.append([index]),
            "oci-layout": spool.append([_encode({"imageLayoutVersion": "1.0.0"})]),
        }


def _pack_all(archive: ArchiveFiles, layers: Sequence[_Layer]) -> list[_Packed]:
    """Compress layers, several at a time, and each once however often it occurs."""
    spools: SimpleQueue[Spool] = SimpleQueue()
    for _ in range(_WORKERS):
        spools.put(Spool(archive.opened, archive.name))

    def pack(layer: _Layer) -> _Packed:
        spool = spools.get()
        try:
            return _pack(layer, spool)
        finally:
            spools.put(spool)

    unique = {layer.key: layer for layer in layers}
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="aioecrpublic-pack") as pool:
        futures = {key: pool.submit(pack, layer) for key, layer in unique.items()}
        try:
            for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            # Those still at work stop at their next read.
            pool.shutdown(wait=False, cancel_futures=True)
            archive.close()
            raise
    return [futures[layer.key].result() for layer in layers]


def _pack(layer: _Layer, spool: Spool) -> _Packed:
    """Return a layer as it is to be stored, its plain content checked against its diff_id."""
    plain = new_hash(layer.diff_id)
    stored = hashlib.sha256()
    kind = detect(layer.content, layer.where)
    if kind is None:
        packed = compressed(_hashed(chunks(layer.content), plain))
        content = spool.append(_hashed(packed, stored))
        kind = "gzip"
    else:
        limit = EXPANSION_FLOOR + _MAX_LAYER_EXPANSION * len(layer.content)
        for piece in decompressed(layer.content, kind, layer.where, limit):
            plain.update(piece)
        for piece in chunks(layer.content):
            stored.update(piece)
        content = layer.content
    verify_hash(plain, layer.diff_id, layer.where)
    return _Packed(content, f"sha256:{stored.hexdigest()}", kind)


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
