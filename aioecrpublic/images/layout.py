"""The OCI image layout: `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX` (image-layout.md)."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import IMAGE_MANIFESTS, INDEXES, OCI_INDEX, TAG
from aioecrpublic.images import jsondoc
from aioecrpublic.images.blobs import FileBlob
from aioecrpublic.images.descriptor import Descriptor
from aioecrpublic.images.digest import check_digest, is_digest, sha256_digest, verify
from aioecrpublic.images.errors import ImageError, listed, shown
from aioecrpublic.images.files import DirectoryFiles
from aioecrpublic.images.manifest import (
    ATTESTATION_OF,
    MAX_ENTRIES,
    MAX_MANIFEST_SIZE,
    check_manifest_type,
    parse_entries,
    parse_manifest,
)
from aioecrpublic.images.reference import cosign_names, familiar_name, parse_reference
from aioecrpublic.images.source import SourceLifecycle
from aioecrpublic.images.threads import acquire_in_thread, finish_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aioecrpublic.images.files import Files
    from aioecrpublic.images.handles import FileRange
    from aioecrpublic.images.manifest import Manifest

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"

_LAYOUT_FILE = "oci-layout"
_INDEX_FILE = "index.json"
_LAYOUT_VERSION = "1.0.0"
MAX_REFERRER_BYTES = 32 * 1024 * 1024
"""Bytes of all manifests of a layout that are searched for what is attached to its image."""
_MAX_LAYOUT_FILE = 64 * 1024


class LayoutSource(SourceLifecycle):
    """An image in a layout whose files are anywhere: the base of `OCILayout` and the archives."""

    _KIND = "OCI image layout"

    def __init__(self, files: Files, reference: str | None) -> None:
        """Read the image `reference`, or the only one, from `files`."""
        self._files = files
        self._reference = reference
        self._entries: tuple[Descriptor, ...] = ()
        self._by_name: dict[str, list[Descriptor]] = {}
        self._root: Descriptor | None = None
        self._kept: dict[str, bytes] = {}
        self._by_subject: dict[str, dict[str, Descriptor]] | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return self._files.name if self._reference is None else f"{self._files.name}:{self._reference}"

    async def open(self) -> Descriptor:
        """Open the layout and return the descriptor of the chosen image or index."""
        async with self._opening:
            if self._closed:
                raise ImageError(f"{self.name}: used after it was closed")
            if self._root is None:
                self._root = await self._open_in_thread()
            return self._root

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        """Return the exact bytes of a manifest, checked against size and digest."""
        await self.open()
        return await asyncio.to_thread(self._read_manifest, descriptor)

    async def open_blob(self, descriptor: Descriptor) -> FileBlob:
        """Open a blob, which must exist and have the descriptor's size."""
        await self.open()
        content = await acquire_in_thread(partial(self._find_blob, descriptor), self._files.release)
        return FileBlob(descriptor, content, self._files.release)

    async def check_blob(self, descriptor: Descriptor) -> None:
        """Check that a blob exists and has the descriptor's size."""
        await self.open()
        await asyncio.to_thread(self._check_blob, descriptor)

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests of this layout that refer to `digest` as their subject.

        These are the signatures, SBOMs and the like that `index.json` lists beside the image, directly or in
        an index tagged by the referrers tag schema (OCI distribution specification): `sha256-HEX`.

        Raises:
            ImageError: a manifest in the layout is malformed, or there are too many to be searched.
        """
        await self.open()
        return await asyncio.to_thread(self._referrers, digest)

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under names made of its digest, by name.

        These are signatures (`sha256-HEX.sig`), attestations (`.att`) and SBOMs (`.sbom`), copied into the
        layout like any other image.

        Raises:
            ImageError: different manifests have one of these names.
        """
        await self.open()
        found: dict[str, Descriptor] = {}
        for name in cosign_names(digest, self.name):
            if named := self._by_name.get(name):
                found[name] = choose_entry(named, name, self._files.name)
        return found

    async def close(self) -> None:
        """Close the layout and every blob opened from it."""
        self._closed = True
        await finish_in_thread(self._files.close)

    async def _open_in_thread(self) -> Descriptor:
        try:
            return await asyncio.to_thread(self._open)
        except BaseException:
            # If this was cancelled, the thread stops at its next read.
            self._closed = True
            self._files.close()
            raise

    def _open(self) -> Descriptor:
        self._files.open()
        return self._read_root()

    def _read_root(self) -> Descriptor:
        self._check_layout_version()
        raw = self._read_file(_INDEX_FILE, MAX_MANIFEST_SIZE)
        where = f"{self._files.name}: {_INDEX_FILE}"
        document = jsondoc.parse_object(raw, where)
        self._entries = parse_entries(document, where)
        for entry in self._entries:
            self._by_name.setdefault(entry.annotations.get(REF_NAME, ""), []).append(entry)
        if self._reference is None and _are_one_image(self._entries):
            return self._keep(raw, jsondoc.text(document, "mediaType", where) or OCI_INDEX)
        return choose_entry(self._entries, self._reference, self._files.name)

    def _keep(self, raw: bytes, media_type: str) -> Descriptor:
        """Remember a manifest that is not stored as a blob, and return its descriptor."""
        digest = sha256_digest(raw)
        self._kept[digest] = raw
        return Descriptor(media_type=media_type, digest=digest, size=len(raw))

    def _check_layout_version(self) -> None:
        raw = self._read_file(_LAYOUT_FILE, _MAX_LAYOUT_FILE)
        where = f"{self._files.name}: {_LAYOUT_FILE}"
        version = jsondoc.text(jsondoc.parse_object(raw, where), "imageLayoutVersion", where)
        if version != _LAYOUT_VERSION:
            raise ImageError(f"{where}: imageLayoutVersion is {shown(version)}, not {shown(_LAYOUT_VERSION)}")

    def _read_file(self, path: str, limit: int) -> bytes:
        content = self._files.find(path)
        if content is None:
            raise ImageError(f"{self._files.name}: {path} is missing; this is no {self._KIND}")
        try:
            if len(content) > limit:
                raise ImageError(f"{self._files.name}: {path} has {len(content)} bytes, more than {limit}")
            return content.read_at(0, len(content))
        finally:
            self._files.release(content)

    def _read_manifest(self, descriptor: Descriptor) -> bytes:
        check_manifest_size(descriptor, self._files.name)
        kept = self._kept.get(descriptor.digest)
        if kept is not None and len(kept) == descriptor.size:
            return kept
        content = self._find_blob(descriptor)
        try:
            raw = content.read_at(0, descriptor.size)
        finally:
            self._files.release(content)
        verify(raw, descriptor.digest, f"{self._files.name}: manifest {descriptor.digest}")
        return raw

    def _find_blob(self, descriptor: Descriptor) -> FileRange:
        where = f"{self._files.name}: blob {descriptor.digest}"
        content = self._find_content(descriptor.digest, where)
        if content is None:
            raise ImageError(f"{where} is missing")
        if len(content) != descriptor.size:
            self._files.release(content)
            raise ImageError(f"{where} has {len(content)} bytes, but its descriptor says {descriptor.size}")
        return content

    def _find_content(self, digest: str, where: str) -> FileRange | None:
        return self._files.find(blob_path(digest, where))

    def _check_blob(self, descriptor: Descriptor) -> None:
        self._files.release(self._find_blob(descriptor))

    def _referrers(self, digest: str) -> tuple[Descriptor, ...]:
        check_digest(digest, "referrers")
        if self._by_subject is None:
            self._by_subject = self._read_referrers()
        return tuple(self._by_subject.get(digest, {}).values())

    def _read_referrers(self) -> dict[str, dict[str, Descriptor]]:
        """Return all referrers, by the digest of their subject and by their own."""
        found: dict[str, dict[str, Descriptor]] = {}
        size = 0
        for count, (about, candidate) in enumerate(self._candidates(), 1):
            size += candidate.size
            if count > MAX_ENTRIES or size > MAX_REFERRER_BYTES:
                raise ImageError(
                    f"{self._files.name}: more than {MAX_ENTRIES} manifests or {MAX_REFERRER_BYTES} bytes of "
                    "them to be searched for what is attached to the image"
                )
            subject, referrer = self._as_referrer(candidate)
            if subject is not None and about in {None, subject}:
                found.setdefault(subject, {}).setdefault(referrer.digest, referrer)
        return found

    def _candidates(self) -> Iterator[tuple[str | None, Descriptor]]:
        """Yield what may be a referrer, with the only digest that it may refer to, if there is one."""
        for entry in self._entries:
            about = (entry.annotations.get(REF_NAME) or "").replace("-", ":", 1)
            if entry.media_type in INDEXES and is_digest(about):
                for child in self._parse(entry).manifests:
                    yield about, child
            else:
                yield None, entry

    def _as_referrer(self, candidate: Descriptor) -> tuple[str | None, Descriptor]:
        """Return the digest of what a manifest refers to, None if nothing, and what listing it would say."""
        if candidate.media_type not in INDEXES | IMAGE_MANIFESTS:
            # An index may list anything (OCI image specification, image-index.md, "manifests").
            return None, candidate
        manifest = self._parse(candidate)
        config_type = None if manifest.config is None else manifest.config.media_type
        described = attrs.evolve(
            candidate,
            artifact_type=manifest.artifact_type or config_type,
            annotations={**manifest.annotations, **candidate.annotations},
        )
        return None if manifest.subject is None else manifest.subject.digest, described

    def _parse(self, descriptor: Descriptor) -> Manifest:
        where = f"{self._files.name}: manifest {descriptor.digest}"
        check_manifest_type(descriptor, where)
        return parse_manifest(self._read_manifest(descriptor), descriptor, where)


class OCILayout(LayoutSource):
    """An image in an OCI image layout directory.

    If `index.json` lists nothing but platforms, none of them with a name, it is taken for the image index
    itself and pushed as it is.

    Args:
        path: the directory.
        reference: which image, if `index.json` lists several: its `org.opencontainers.image.ref.name`
            annotation (`1.0`), the full name that Docker and containerd write (`app:1.0`), or its digest.

    Files are opened below the directory only: symbolic links within it are followed, others refused.
    """

    def __init__(self, path: str | os.PathLike[str], reference: str | None = None) -> None:
        path = os.fspath(path)
        super().__init__(DirectoryFiles(path, f"oci:{path}"), reference)


def choose_entry(entries: Sequence[Descriptor], reference: str | None, name: str) -> Descriptor:
    """Return the entry of an `index.json` that `reference` names, or the only one.

    Raises:
        ImageError: there is none or more than one; the message lists what there is.
    """
    if reference is None:
        chosen = list(entries)
    else:
        chosen = [entry for entry in entries if _is_named(entry, reference)]
    if len({entry.digest for entry in chosen}) == 1:
        return chosen[0]
    if not entries:
        raise ImageError(f"{name}: {_INDEX_FILE} lists no image")
    if reference is None:
        raise ImageError(
            f"{name}: {_INDEX_FILE} lists {len(entries)} images; choose one of {_names(entries)}"
        )
    if chosen:
        raise ImageError(
            f"{name}: {len(chosen)} images are called {shown(reference)}; choose by digest: "
            + listed([entry.digest for entry in chosen])
        )
    raise ImageError(f"{name}: no image {shown(reference)}; there are {_names(entries)}")


def own_tag(entries: Iterable[Descriptor], root: Descriptor, reference: str | None) -> str | None:
    """Return the one tag that an image has by its names in an `index.json`, None if it has none or several.

    Args:
        entries: of `index.json`.
        root: the image.
        reference: what it was chosen by, if it was: only names that fit it count.
    """
    named = (
        entry
        for entry in entries
        if entry.digest == root.digest and (reference is None or _is_named(entry, reference))
    )
    tags = {tag for entry in named if (tag := _tag(entry)) is not None}
    return tags.pop() if len(tags) == 1 else None


def blob_path(digest: str, where: str) -> str:
    """Return the path of a blob within a layout; a malformed digest never becomes one."""
    return "blobs/" + check_digest(digest, where).replace(":", "/")


def check_manifest_size(descriptor: Descriptor, name: str) -> None:
    """Check that a manifest may be read into memory.

    Raises:
        ImageError: it is larger than the service takes.
    """
    if descriptor.size > MAX_MANIFEST_SIZE:
        raise ImageError(
            f"{name}: manifest {descriptor.digest} has {descriptor.size} bytes, "
            f"more than the {MAX_MANIFEST_SIZE} that ECR Public takes"
        )


def _is_named(entry: Descriptor, reference: str) -> bool:
    if reference.removeprefix("@") == entry.digest:
        return True
    ref_name = entry.annotations.get(REF_NAME)
    full_name = entry.annotations.get(CONTAINERD_NAME)
    if reference in {ref_name, full_name}:
        return True
    return full_name is not None and familiar_name(reference) == familiar_name(full_name)


def _tag(entry: Descriptor) -> str | None:
    ref_name = entry.annotations.get(REF_NAME)
    if ref_name is not None and TAG.fullmatch(ref_name):
        return ref_name
    try:
        name = parse_reference(entry.annotations.get(CONTAINERD_NAME) or ref_name or "")
    except ImageError:
        # Anybody may call an image anything.
        return None
    return None if name.digest else name.tag


def _are_one_image(entries: Sequence[Descriptor]) -> bool:
    """Tell whether an `index.json` is the index of one image: it lists platforms, each once, and no names."""
    if len(entries) < 2:  # noqa: PLR2004 - one of one platform is that platform's image
        return False
    platforms = [entry.platform for entry in entries if ATTESTATION_OF not in entry.annotations]
    return (
        None not in platforms
        and len(set(platforms)) == len(platforms) > 0
        and not any({REF_NAME, CONTAINERD_NAME} & entry.annotations.keys() for entry in entries)
    )


def _names(entries: Sequence[Descriptor]) -> str:
    return listed(
        [
            entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME) or entry.digest
            for entry in entries
        ]
    )
