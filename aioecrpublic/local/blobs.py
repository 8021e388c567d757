"""The bytes: layers by their digest, and uploads on their way to be layers. Everything here blocks."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

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

    def append(self, upload_id: str, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset`` for good, over whatever an interrupted attempt left behind it."""
        view = memoryview(data)
        with self.open_upload(upload_id, offset) as file:
            for start in range(0, len(view), _WRITE):
                file.write(view[start : start + _WRITE])
            self.sync(file)

    def open_upload(self, upload_id: str, offset: int) -> BinaryIO:
        """An upload's file, to be written on from ``offset``; what was behind it is cut off."""
        file = _open(self._upload(upload_id), os.O_RDWR, "r+b")
        file.seek(offset)
        file.truncate()
        return file

    def digest(self, upload_id: str, size: int) -> str:
        """The digest of the first ``size`` bytes of an upload; what is behind them was never acknowledged."""
        digest = hashlib.sha256()
        with self.open_upload(upload_id, size) as file:
            file.seek(0)
            while data := file.read(_SLICE):
                digest.update(data)
        return f"sha256:{digest.hexdigest()}"

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
            self._upload(name).write_bytes(b"")
            self.append(name, 0, data)
            self.keep(name, digest)
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
        return _open(self.path(digest), os.O_RDONLY, "rb")

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

    def sync(self, file: BinaryIO) -> None:
        """See to it that what was written to a file survives."""
        file.flush()
        if self._durable:
            os.fsync(file.fileno())


def _open(path: Path, flags: int, mode: Literal["rb", "r+b"]) -> BinaryIO:
    """Open a file that is what its name says: a link would lead out of the registry's directory."""
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC), mode)


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
