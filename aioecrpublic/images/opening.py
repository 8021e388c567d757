"""From the way people write an image source to the source."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aioecrpublic.images.archive import OCIArchive
from aioecrpublic.images.compressing import CompressedImage
from aioecrpublic.images.directory import MANIFEST_FILE, DirectoryImage
from aioecrpublic.images.docker_archive import DetectedArchive, DockerArchive
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.layout import LayoutSource, OCILayout
from aioecrpublic.images.reference import hide_user
from aioecrpublic.images.registry import RegistryImage
from aioecrpublic.images.source import ImageSource, SourceLifecycle, SupportsCompression, SupportsOwnTag
from aioecrpublic.images.standard_input import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.source import Blob

_FORMS = (
    "oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE], docker-archive:FILE[:REFERENCE], dir:DIR, "
    "docker://HOST/REPOSITORY:TAG, a path, or - for an archive on standard input"
)
# What other tools understand and this package does not, lest it be taken for the name of a file.
_FOREIGN = frozenset({"containers-storage", "docker", "docker-daemon", "http", "https", "ostree", "sif"})


def open_image(
    source: str | os.PathLike[str] | ImageSource,
    *,
    compress: bool | None = None,
    platforms: Sequence[str] | None = None,
) -> ImageSource:
    """Return the image source that a string or path means; nothing is read yet.

    Args:
        source: `oci:DIR[:REFERENCE]`, `oci-archive:FILE[:REFERENCE]`, `docker-archive:FILE[:REFERENCE]`,
            `dir:DIR`, `docker://HOST/REPOSITORY:TAG` or `…@DIGEST`; or a path, with or without `:REFERENCE`,
            whose kind is detected when it is opened. `-` in the place of a file is an archive on standard
            input, by itself too. As in skopeo, the path in the first three forms ends at the first colon; the
            classes take any path. A source is returned as it is, if `compress` does not ask for more.
        compress: whether to compress uncompressed layers, as `CompressedImage` does. None does so for what
            `docker save` has written, which `docker push` would have compressed, and takes all else as it is.
        platforms: those of an index that are wanted, so that the layers of others need not be compressed.

    Raises:
        ImageError: the string has none of these forms, or `compress` is False and `source` compresses layers
            by itself.
    """
    if isinstance(source, str | os.PathLike):
        # What is compressed on demand is not compressed before, without regard to the platforms.
        opened = _source_of(source, by_itself=compress is None)
    else:
        opened = source
        if compress is False and isinstance(source, DockerArchive | DetectedImage) and source.compress:
            raise ImageError(f"{source.name}: compresses layers by itself; make it with compress=False")
    return CompressedImage(opened, platforms=platforms) if compress else opened


def _source_of(source: str | os.PathLike[str], *, by_itself: bool) -> ImageSource:
    text = os.fspath(source)
    if not isinstance(source, str):
        return DetectedImage(text, compress=by_itself)
    if text.startswith("docker://"):
        return RegistryImage(text)
    scheme, colon, _ = text.partition(":")
    if colon and scheme in {"oci", "oci-archive", "docker-archive", "dir"}:
        return _source_by_scheme(text, by_itself=by_itself)
    if not text or (colon and scheme in _FOREIGN):
        raise ImageError(f"{shown(hide_user(text))} is no image source; expected {_FORMS}")
    return DetectedImage(text, compress=by_itself)


def _source_by_scheme(text: str, *, by_itself: bool) -> ImageSource:
    scheme, _, rest = text.partition(":")
    path, _, reference = rest.partition(":")
    if not path:
        raise ImageError(f"{shown(text)}: no path; expected {_FORMS}")
    if scheme == "dir":
        return DirectoryImage(rest)
    if scheme == "docker-archive":
        return DockerArchive(path, reference or None, compress=by_itself)
    kind = OCILayout if scheme == "oci" else OCIArchive
    return kind(path, reference or None)


class DetectedImage(SourceLifecycle):
    """An image at a path whose kind is found out when it is opened.

    Args:
        path: a directory with an OCI layout or one that skopeo has written for `dir:`, an OCI archive or a
            docker-archive. If there is nothing at the path, the part before a colon is tried, and the rest
            taken for a reference. `-` and `-:REFERENCE` are an archive on standard input.
        compress: whether to compress the uncompressed layers of an archive that Docker can load.
    """

    def __init__(self, path: str, *, compress: bool = True) -> None:
        self.compress: bool = compress
        self._path = path
        self._source: LayoutSource | DetectedArchive | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return self._path if self._source is None else self._source.name

    @property
    def own_tag(self) -> str | None:
        """The one tag that the image has in an archive, None if it has none or several."""
        return self._source.own_tag if isinstance(self._source, SupportsOwnTag) else None

    @property
    def layers_compressed(self) -> int:
        """How many layers were compressed; 0 before it is open."""
        return self._source.layers_compressed if isinstance(self._source, SupportsCompression) else 0

    async def open(self) -> Descriptor:
        """Find out what is at the path and open it."""
        source = await self._detected()
        return await source.open()

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        """Return the exact bytes of a manifest, checked against size and digest."""
        source = await self._detected()
        return await source.read_manifest(descriptor)

    async def open_blob(self, descriptor: Descriptor) -> Blob:
        """Open a blob, which must exist and have the descriptor's size."""
        source = await self._detected()
        return await source.open_blob(descriptor)

    async def check_blob(self, descriptor: Descriptor) -> None:
        """Check that a blob exists and has the descriptor's size."""
        source = await self._detected()
        await source.check_blob(descriptor)

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests beside the image that refer to `digest` as their subject."""
        source = await self._detected()
        return await source.referrers(digest)

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under names made of its digest, by name."""
        source = await self._detected()
        return await source.cosign_tags(digest)

    async def close(self) -> None:
        """Free everything."""
        if self._source is not None:
            await self._source.close()

    async def _detected(self) -> LayoutSource | DetectedArchive:
        async with self._opening:
            if self._source is None:
                self._source = await asyncio.to_thread(partial(_detect, self._path, compress=self.compress))
            return self._source


def _detect(text: str, *, compress: bool) -> LayoutSource | DetectedArchive:
    path, _, reference = text.partition(":")
    if path == STANDARD_INPUT:
        return DetectedArchive(path, reference or None, compress=compress)
    colons = [position for position, character in enumerate(text) if character == ":"]
    for end in (len(text), *reversed(colons)):
        try:
            status = Path(text[:end]).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ImageError(f"{shown(hide_user(text))}: {reason}") from error
        if stat.S_ISDIR(status.st_mode):
            return _directory(text[:end], text[end + 1 :] or None)
        return DetectedArchive(text[:end], text[end + 1 :] or None, compress=compress)
    raise ImageError(
        f"{shown(hide_user(text))}: no such file or directory; expected {_FORMS}"
    ) from FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _directory(path: str, reference: str | None) -> LayoutSource:
    if reference is None and _has(path, MANIFEST_FILE) and not _has(path, "oci-layout"):
        return DirectoryImage(path)
    return OCILayout(path, reference)


def _has(directory: str, name: str) -> bool:
    return os.path.lexists(Path(directory, name))
