"""Changing a file that other programs change too, so that nobody's change is lost."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._common.fileio import kind_of, open_regular, read_descriptor
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aioecrpublic._common.cancellation import CancellationToken

_MAX_WAIT: Final = 30.0
"""Seconds for which the lock may be another's."""
_INTERVAL: Final = 0.01
_MAX_ROUNDS: Final = 100
_PRIVATE: Final = 0o600
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def change_file(
    path: Path, change: Callable[[bytes], bytes], limit: int, cancellation: CancellationToken
) -> None:
    """Replace a file by what ``change`` makes of its content, in one step; block.

    The new content is written to ``.NAME.aioecrpublic`` beside the file and takes its place once it is on the
    disk, so that a crash leaves the old content or the new. That other file is also the lock between all
    calls, in this process and in others: only who holds a lock on it (``flock``) changes the file. It is gone
    when the change is done. A process that is killed may leave it, but no lock on it: the next change removes
    it.

    A program that does not know the lock may change the file meanwhile. So the file is compared right before
    it is replaced, and if it has changed, the change is made again on what is there now.

    Owner, group, permissions and extended attributes stay, and so does a symbolic link: the file that it
    leads to is replaced. A file that is not there is made, for its owner alone.

    Args:
        path: The file.
        change: Makes the new content of the old one, which is empty for a file that is not there.
        limit: The most bytes that the file may have.
        cancellation: Ends the waiting for the lock.

    Raises:
        ConfigurationError: The file cannot be read, must not be written or cannot be replaced; or another
            process holds the lock for too long. What ``change`` raises is raised as it is.
    """
    target = _resolve(path)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.aioecrpublic"), cancellation) as replacement:
            _replace(target, replacement, change, limit)
        _sync_directory(target.parent)
    except OSError as error:
        raise _error(path, error) from error


def read_file(path: Path, limit: int) -> bytes:
    """Return the content that ``change_file`` would change, empty for a file that is not there.

    Raises:
        ConfigurationError: The file cannot be read, or must not be written.
    """
    try:
        found = _read(_resolve(path), limit)
    except OSError as error:
        raise _error(path, error) from error
    return found.content if found else b""


@attrs.frozen
class _Replacement:
    """The file that is locked and takes the place of the one that is changed."""

    path: Path
    descriptor: int

    def is_at_its_path(self) -> bool:
        """Say whether the path names this file: not once it has taken the other's place or was removed."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(status, os.fstat(self.descriptor))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    owner = (status.st_mode, status.st_uid, status.st_gid)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, *owner)


@attrs.frozen
class _Version:
    """A file as it was read."""

    content: bytes
    status: os.stat_result = attrs.field(eq=_identity)
    extended_attributes: dict[str, bytes]


def _resolve(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # a null character
        raise ConfigurationError(f"{path}: not a valid path: {error}") from error


def _error(path: Path, error: OSError) -> ConfigurationError:
    at = "" if error.filename is None or str(error.filename) == str(path) else f" ({error.filename})"
    return ConfigurationError(f"{path}: cannot be changed: {error.strerror}{at}")


@contextmanager
def _locked(path: Path, cancellation: CancellationToken) -> Generator[_Replacement]:
    """Hold the lock that a file is, and remove the file unless it has taken the other's place."""
    replacement = _lock(path, cancellation)
    try:
        yield replacement
    finally:
        # Only the holder of the lock removes or moves the file. Another file at the path is another's.
        if replacement.is_at_its_path():
            path.unlink()
        os.close(replacement.descriptor)


def _lock(path: Path, cancellation: CancellationToken) -> _Replacement:
    deadline = monotonic() + _MAX_WAIT
    while monotonic() < deadline:
        with suppress(FileExistsError):
            made = _Replacement(path, os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, _PRIVATE))
            if _try_lock(made):
                return made
        with suppress(FileNotFoundError):
            _remove_if_left(_Replacement(path, os.open(path, _OPEN)))
        cancellation.sleep(_INTERVAL)
    raise ConfigurationError(f"{path}: has been locked by another process for {_MAX_WAIT:g} s")


def _try_lock(file: _Replacement) -> bool:
    """Lock a file; close it and return False if it is another's by now, or no longer the one at its path."""
    try:
        _require_regular(file)
        with suppress(BlockingIOError):
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.is_at_its_path():
                return True
    except BaseException:
        os.close(file.descriptor)
        raise
    os.close(file.descriptor)
    return False


def _require_regular(file: _Replacement) -> None:
    mode = os.fstat(file.descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"not a regular file ({kind_of(mode)})", str(file.path))


def _remove_if_left(file: _Replacement) -> None:
    """Remove a file that nobody has locked: it is that of a process that was killed."""
    if _try_lock(file):
        try:
            # Not used again: it may be another user's, or have a second name.
            file.path.unlink()
        finally:
            os.close(file.descriptor)


def _replace(target: Path, replacement: _Replacement, change: Callable[[bytes], bytes], limit: int) -> None:
    for _ in range(_MAX_ROUNDS):
        before = _read(target, limit)
        content = change(before.content if before else b"")
        if before and content == before.content:
            return
        _write(replacement.descriptor, content)
        _copy_attributes(before, target, replacement.descriptor)
        os.fsync(replacement.descriptor)
        if _read(target, limit) == before:
            replacement.path.replace(target)
            return
    raise ConfigurationError(f"{target}: cannot be changed: another program changes it all the time")


def _read(target: Path, limit: int) -> _Version | None:
    try:
        # For writing, too: replacing needs no right to the file itself, but who has none is not to change it.
        descriptor = open_regular(target, write=True)
    except FileNotFoundError:
        return None
    try:
        content = read_descriptor(descriptor, limit, target)
        return _Version(content, os.fstat(descriptor), _extended_attributes(descriptor))
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        file.seek(0)
        file.truncate()
        file.write(content)


def _copy_attributes(version: _Version | None, source: Path, descriptor: int) -> None:
    """Give an open file the owner, group, permissions and extended attributes of another."""
    if version is None:
        os.fchmod(descriptor, _PRIVATE)
        return
    there, here = version.status, os.fstat(descriptor)
    if (here.st_uid, here.st_gid) != (there.st_uid, there.st_gid):
        try:
            os.fchown(descriptor, there.st_uid, there.st_gid)
        except PermissionError as error:
            raise ConfigurationError(
                f"{source}: cannot be changed: its owner or group would not stay (uid {there.st_uid}, "
                f"gid {there.st_gid})"
            ) from error
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
    for name, value in version.extended_attributes.items():
        # Some are set by the kernel alone; they are the same for all files of a directory.
        with suppress(OSError):
            os.setxattr(descriptor, name, value)


def _extended_attributes(descriptor: int) -> dict[str, bytes]:
    if sys.platform != "linux":
        return {}
    try:
        return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # the file system has none


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot, and the file is in its place whether or not this is on the disk.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
