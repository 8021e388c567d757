"""Opening and reading files that a user or an image names; everything here blocks."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_LINKS: Final = 16
_OPEN_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class NotRegularFileError(OSError):
    """A path that names something else than a regular file, such as a FIFO or a device."""


class FileTooLargeError(OSError):
    """A file of more bytes than its reader takes."""


class LeavesDirectoryError(OSError):
    """A path, or a symbolic link on its way, that points outside the directory it belongs to."""


def open_regular(path: str | os.PathLike[str], *, write: bool = False) -> int:
    """Open a regular file and return its descriptor; never wait for a peer, as opening a FIFO would.

    The path is looked at before it is opened, because opening a device can have effects, and again
    afterwards, because it may have been replaced in between.

    Args:
        path: The file; a symbolic link is followed.
        write: Open it for reading and writing.

    Raises:
        NotRegularFileError: It is a directory, FIFO, socket or device.
        OSError: It does not exist or cannot be opened.
        ValueError: The path has a null character in it.
    """
    _require_regular(Path(path).stat(), path)
    return _checked(os.open(path, _OPEN_FILE | (os.O_RDWR if write else 0)), path)


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        FileTooLargeError: It has more bytes than ``limit``.
        OSError: As ``open_regular``.
    """
    descriptor = open_regular(path)
    try:
        return read_descriptor(descriptor, limit, path)
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int, limit: int, path: str | os.PathLike[str]) -> bytes:
    """Return what is left to read of an open file, at most ``limit`` bytes; ``path`` is for messages.

    Raises:
        FileTooLargeError: There is more than ``limit`` bytes.
        OSError: It cannot be read.
    """
    content = bytearray()
    while piece := os.read(descriptor, min(limit + 1 - len(content), 1024 * 1024)):
        content += piece
        if len(content) > limit:
            raise FileTooLargeError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return bytes(content)


def open_beneath(root: int, path: str) -> int:
    """Open ``path`` below the open directory ``root`` without ever leaving it; return the descriptor.

    Each component is opened by itself, relative to the directory before it and never through a link; links
    are read and followed here. A path that is checked first and opened later could have changed between.
    What is opened is a directory or a regular file, unless it was replaced at that moment.

    Raises:
        LeavesDirectoryError: The path, or a link on its way, points outside ``root``.
        NotRegularFileError: It is a FIFO, socket or device.
        OSError: It does not exist, cannot be opened, or has too many links on its way.
    """
    pending = _components(path)
    opened = [os.dup(root)]
    links = 0
    try:
        while pending:
            component = pending.pop()
            if component == "..":
                os.close(opened.pop())
                if not opened:
                    raise LeavesDirectoryError(errno.EXDEV, "points outside the directory", path)
                continue
            found = _open_component(opened[-1], component)
            if isinstance(found, int):
                opened.append(found)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, "too many symbolic links", path)
            pending += _components(found)
        return opened.pop()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def open_regular_beneath(root: int, path: str) -> int:
    """Open a regular file below the open directory ``root`` as ``open_beneath`` does; return the descriptor.

    Raises:
        NotRegularFileError: It is a directory, FIFO, socket or device.
        OSError: As ``open_beneath``.
    """
    return _checked(open_beneath(root, path), path)


def kind_of(mode: int) -> str:
    """Return what a file is by the mode of its status, such as "a FIFO"."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "a regular file")


def _checked(descriptor: int, path: str | os.PathLike[str]) -> int:
    """Return an open descriptor of a regular file; close one of anything else."""
    try:
        _require_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        reason = f"not a regular file ({kind_of(status.st_mode)})"
        raise NotRegularFileError(errno.EINVAL, reason, os.fspath(path))


def _components(path: str) -> list[str]:
    """Return the components of a relative path, the last first."""
    if path.startswith("/"):
        raise LeavesDirectoryError(errno.EXDEV, "points outside the directory", path)
    return [component for component in reversed(path.split("/")) if component not in {"", "."}]


def _open_component(directory: int, name: str) -> int | str:
    """Open a directory or a regular file and return its descriptor; return the target of a symbolic link."""
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        # Opening can have effects: a writer who waits for a FIFO's reader goes on, a tape rewinds.
        raise NotRegularFileError(errno.EINVAL, f"not a regular file ({kind_of(mode)})", name)
    try:
        return os.open(name, _OPEN_FILE | os.O_NOFOLLOW, dir_fd=directory)
    except OSError as error:
        # Linux and macOS answer ELOOP to O_NOFOLLOW on a link, FreeBSD EMLINK.
        if error.errno not in {errno.ELOOP, errno.EMLINK}:
            raise
    return os.readlink(name, dir_fd=directory)
