"""The bytes: layers by their digest, and uploads on their way to be layers. Everything here blocks."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOBS: Final = Path("blobs", "sha256")
UPLOADS: Final = Path("uploads")

_SLICE = 1024 * 1024
# Linux (6.18) may take several times the CPU for ten megabytes that are written at once.
_WRITE = 128 * 1024
_DIGEST = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class BlobStore:
    """Files below a directory; no name that comes from outside becomes a path unchecked.

    Args:
        directory: Where they are; made if it is not there.
        durable: Whether what was written has to survive a power cut.
    """

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self._blobs = directory / BLOBS
        self._uploads = directory / UPLOADS
        self._durable = durable
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(parents=True, exist_ok=True)

    def begin(self, upload_id: str) -> None:
        """Make an upload's empty file."""
        self._upload(upload_id).touch(exist_ok=False)
        if self._durable:
            # Its parts are acknowledged later: they would be lost with the file's name.
            _sync_directory(self._uploads)

    def open_upload(self, upload_id: str, offset: int) -> UploadFile:
        """An upload's file, to be written on from ``offset``; what was behind it is cut off.

        Raises:
            FileNotFoundError: It is not there.
        """
        return UploadFile(self._upload(upload_id), offset, durable=self._durable)

    def digest(self, upload_id: str, size: int) -> str:
        """The digest of the first ``size`` bytes of an upload; what is behind them was never acknowledged."""
        digest = hashlib.sha256()
        with self.open_upload(upload_id, size) as file:
            for piece in file.pieces():
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def upload_size(self, upload_id: str) -> int:
        """Return how many bytes an upload's file has."""
        return self._upload(upload_id).stat().st_size

    def keep(self, upload_id: str, digest: str) -> None:
        """Make an upload the layer with ``digest``; its own file stays until it is dropped.

        So a registry that dies before its database knows the layer still has the upload.
        """
        target = self.path(digest)
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(self._upload(upload_id), target)
        if self._durable:
            _sync_directory(target.parent)
            _sync_directory(target.parent.parent)

    def add(self, data: bytes) -> str:
        """Store ``data`` at once; its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not self.has(digest):
            name = f"{digest[7:15]}-{digest[15:19]}-{digest[19:23]}-{digest[23:27]}-{digest[27:39]}"
            self._upload(name).touch()
            try:
                with self.open_upload(name, 0) as file:
                    file.write(data)
                    file.sync()
                    self.keep(name, digest)
                    file.keep()
            finally:
                self.drop_upload(name)
        return digest

    def drop_upload(self, upload_id: str) -> None:
        """Remove an upload's file."""
        self._upload(upload_id).unlink(missing_ok=True)

    def drop(self, digest: str) -> None:
        """Remove a layer's file."""
        self.path(digest).unlink(missing_ok=True)

    def has(self, digest: str) -> bool:
        """Whether the layer is there."""
        return _DIGEST.fullmatch(digest) is not None and self.path(digest).exists()

    def open(self, digest: str) -> BinaryIO:
        """Open a layer for reading.

        Raises:
            FileNotFoundError: It is not there.
        """
        return os.fdopen(_open(self.path(digest), os.O_RDONLY), "rb")

    def read(self, digest: str) -> bytes:
        """Read a whole layer.

        Raises:
            FileNotFoundError: It is not there.
        """
        with self.open(digest) as file:
            return file.read()

    def size(self, digest: str) -> int:
        """Bytes of a layer."""
        return self.path(digest).stat().st_size

    def path(self, digest: str) -> Path:
        """The file of a layer.

        Raises:
            ValueError: It is not a sha256 digest.
        """
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise ValueError(f"{digest!r} is not a sha256 digest")
        return self._blobs / match["hex"][:2] / match["hex"]

    def digests(self) -> Iterator[str]:
        """The digests of all layers."""
        return _digests(self._blobs)

    def uploads(self) -> Iterator[str]:
        """The ids of all uploads that have a file."""
        return _files(self._uploads, _UPLOAD)

    def _upload(self, upload_id: str) -> Path:
        if _UPLOAD.fullmatch(upload_id) is None:
            raise ValueError(f"{upload_id!r} is not an upload id")
        return self._uploads / upload_id


class UploadFile:
    """An upload's file that is written on; what is not kept is cut off again when it is closed.

    Nothing is buffered: what a full disk did not take must not be written after all, when it is closed.

    Args:
        path: The file.
        offset: Where to go on; what is behind it is cut off.
        durable: Whether what is synced has to survive a power cut.
    """

    def __init__(self, path: Path, offset: int, *, durable: bool) -> None:
        self._durable = durable
        self._kept = self._end = offset
        self._descriptor = _open(path, os.O_RDWR)
        try:
            os.ftruncate(self._descriptor, offset)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes | bytearray) -> None:
        """Write all of ``data`` behind what was written."""
        left = memoryview(data)
        while left:
            count = os.pwrite(self._descriptor, left[:_WRITE], self._end)
            self._end += count
            left = left[count:]

    def sync(self) -> None:
        """See to it that what was written survives."""
        if self._durable:
            os.fsync(self._descriptor)

    def keep(self) -> None:
        """Let what was written so far stay."""
        self._kept = self._end

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file, piece by piece."""
        start = 0
        while piece := os.pread(self._descriptor, _SLICE, start):
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        try:
            if self._end > self._kept:
                os.ftruncate(self._descriptor, self._kept)
        finally:
            os.close(self._descriptor)


def _open(path: Path, flags: int) -> int:
    """Open a file that is what its name says: a link would lead out of the registry's directory."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def has_files(directory: Path) -> bool:
    """Say whether there is any layer or upload below a registry's directory."""
    found = itertools.chain(_digests(directory / BLOBS), _files(directory / UPLOADS, _UPLOAD))
    return next(found, None) is not None


def _digests(directory: Path) -> Iterator[str]:
    for prefix in _listed(directory):
        if prefix.is_dir(follow_symlinks=False):
            for name in _files(Path(prefix), _HEX):
                # What lies elsewhere than it would be put is none of ours.
                if name[:2] == prefix.name:
                    yield f"sha256:{name}"


def _files(directory: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the names of the regular files of a directory that a registry would give them."""
    for entry in _listed(directory):
        if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            yield entry.name


def _listed(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
