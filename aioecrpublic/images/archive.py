"""Image archives: tar files, read in place, compressed or not."""

from __future__ import annotations

import os

from aioecrpublic._common.fileio import open_regular
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import FileRange, OpenFiles
from aioecrpublic.images.layout import LayoutSource, own_tag
from aioecrpublic.images.packing import Spool, decompressed, detect
from aioecrpublic.images.standard_input import STANDARD_INPUT, read_standard_input
from aioecrpublic.images.tarindex import TarIndex

EXPANSION_FLOOR = 64 * 1024 * 1024
MAX_EXPANSION = 100


def expansion_limit(size: int) -> int:
    """Return how many bytes a compressed archive of `size` bytes may hold: 64 MiB and 100 times its size."""
    return EXPANSION_FLOOR + MAX_EXPANSION * size


class ArchiveFiles:
    """The files in a tar archive.

    A compressed archive is decompressed once, and what comes on standard input is written, into a temporary
    file in the system's directory for these (`TMPDIR`), which vanishes on `close` or with the process.
    """

    def __init__(self, path: str, name: str, limit: int | None = None) -> None:
        """Describe the files in the archive at `path`.

        Args:
            path: the tar file; `-` is standard input.
            name: what it is called in messages.
            limit: bytes that a compressed archive may hold, or that may come on standard input; None: 64 MiB
                and 100 times its own size, or 64 GiB.
        """
        self.name = name
        self.opened: OpenFiles = OpenFiles()
        self._path = path
        self._limit = limit
        self._index: TarIndex | None = None

    def open(self) -> None:
        """Decompress the archive if need be, and find its members."""
        content = self._open_file()
        kind = detect(content)
        if kind is not None:
            limit = expansion_limit(len(content)) if self._limit is None else self._limit
            plain = Spool(self.opened, self.name).append(decompressed(content, kind, self.name, limit))
            self.opened.release(content.file)
            content = plain
        self._index = TarIndex(content, self.name)

    def find(self, path: str) -> FileRange | None:
        """Return the content of the file at `path`, None if there is none."""
        return self._opened_index.find(path)

    def has(self, path: str) -> bool:
        """Tell whether there is an entry at `path`, of whatever kind."""
        return path in self._opened_index

    def release(self, content: FileRange) -> None:
        """Do nothing: all members are ranges of the one file."""

    def close(self) -> None:
        """Close the archive and remove the temporary file."""
        self.opened.close()

    @property
    def _opened_index(self) -> TarIndex:
        if self._index is None:
            raise ImageError(f"{self.name}: read before the source was opened")
        return self._index

    def _open_file(self) -> FileRange:
        if self._path == STANDARD_INPUT:
            return read_standard_input(self.opened, self.name, self._limit)
        try:
            descriptor = open_regular(self._path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ImageError(f"{self.name}: {reason}") from error
        file = self.opened.adopt(descriptor, self.name)
        return FileRange(file, 0, file.status().st_size)


class ArchiveSource(LayoutSource):
    """An image in a layout that is in an archive."""

    @property
    def own_tag(self) -> str | None:
        """The one tag that the image has in the archive, None if it has none or several."""
        return None if self._root is None else own_tag(self._entries, self._root, self._reference)


class OCIArchive(ArchiveSource):
    """An image in an OCI archive: an OCI image layout in a tar file.

    Args:
        path: the tar file; it may be compressed by gzip, zstd, xz or bzip2. `-` is standard input.
        reference: which image, as in `OCILayout`.
        max_unpacked_size: bytes of disk that a compressed archive may take when it is decompressed, or that
            may come on standard input; None: 64 MiB and 100 times its own size, or 64 GiB.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        reference: str | None = None,
        *,
        max_unpacked_size: int | None = None,
    ) -> None:
        path = os.fspath(path)
        super().__init__(ArchiveFiles(path, f"oci-archive:{path}", max_unpacked_size), reference)
