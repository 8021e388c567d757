"""From the way people write an image source to the source."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from aioecrpublic.images.archive import ArchiveFiles, OCIArchive
from aioecrpublic.images.docker_archive import DockerArchive, DockerFiles
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.layout import LayoutSource, OCILayout
from aioecrpublic.images.reference import hide_user
from aioecrpublic.images.registry import RegistryImage
from aioecrpublic.images.source import ImageSource, SourceLifecycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.images.descriptor import Descriptor
from aioecrpublic.images.source import Blob

_FORMS = (
    "oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE], docker-archive:FILE[:REFERENCE], "
    "docker://HOST/REPOSITORY:TAG or a path"
)
_SOURCES: dict[str, Callable[[str, str | None], ImageSource]] = {
    "oci": OCILayout,
    "oci-archive": OCIArchive,
    "docker-archive": DockerArchive,
}
# What other tools understand and this package does not, lest it be taken for the name of a file.
_FOREIGN = frozenset(
    {"containers-storage", "dir", "docker", "docker-daemon", "http", "https", "ostree", "sif"}
)


def open_image(source: str | os.PathLike[str] | ImageSource) -> ImageSource:
    """Return the image source that a string or path means; nothing is read yet.

    Args:
        source: `oci:DIR[:REFERENCE]`, `oci-archive:FILE[:REFERENCE]`, `docker-archive:FILE[:REFERENCE]`,
            `docker://HOST/REPOSITORY:TAG` or `…@DIGEST`; or a path, with or without `:REFERENCE`, whose kind
            is detected when it is opened. As in skopeo, the path in the first three forms ends at the first
            colon; the classes take any path. A source is returned as it is.

    Raises:
        ImageError: the string has none of these forms.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    text = os.fspath(source)
    if not isinstance(source, str):
        return DetectedImage(text)
    if text.startswith("docker://"):
        return RegistryImage(text)
    scheme, colon, rest = text.partition(":")
    if colon and scheme in _SOURCES:
        path, _, reference = rest.partition(":")
        if not path:
            raise ImageError(f"{shown(text)}: no path; expected {_FORMS}")
        return _SOURCES[scheme](path, reference or None)
    if not text or (colon and scheme in _FOREIGN):
        raise ImageError(f"{shown(hide_user(text))} is no image source; expected {_FORMS}")
    return DetectedImage(text)


class DetectedImage(SourceLifecycle):
    """An image at a path whose kind is found out when it is opened.

    Args:
        path: an OCI layout directory, an OCI archive or a docker-archive. If there is nothing at the path,
            the part before a colon is tried, and the rest taken for a reference.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._source: LayoutSource | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return self._path if self._source is None else self._source.name

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

    async def _detected(self) -> LayoutSource:
        async with self._opening:
            if self._source is None:
                self._source = await asyncio.to_thread(_detect, self._path)
            return self._source


def _detect(text: str) -> LayoutSource:
    colons = [position for position, character in enumerate(text) if character == ":"]
    for end in (len(text), *reversed(colons)):
        try:
            status = Path(text[:end]).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ImageError(f"{shown(hide_user(text))}: {reason}") from error
        return _source_at(text[:end], text[end + 1 :] or None, status)
    raise ImageError(f"{shown(hide_user(text))}: no such file or directory; expected {_FORMS}")


def _source_at(path: str, reference: str | None, status: os.stat_result) -> LayoutSource:
    if stat.S_ISDIR(status.st_mode):
        return OCILayout(path, reference)
    # These read both kinds of archive, and tell them apart by what is in them.
    return LayoutSource(DockerFiles(ArchiveFiles(path, path), reference), reference)
