"""The files of an image layout, in a directory or elsewhere, by their path within the layout.

Everything here blocks and is called from worker threads.
"""

from __future__ import annotations

import os
from typing import Protocol

from aioecrpublic._common.fileio import LeavesDirectoryError, open_regular_beneath
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.handles import FileHandle, FileRange, OpenFiles

_OPEN_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class Files(Protocol):
    """The files of one layout, once `open` was called."""

    @property
    def name(self) -> str:
        """What they are called in messages."""
        ...

    def open(self) -> None:
        """Open what holds the files.

        Raises:
            ImageError: it is not there or cannot be read.
        """
        ...

    def find(self, path: str) -> FileRange | None:
        """Open the file at `path` and return its content, None if there is none.

        Each range found is closed by `release`.

        Raises:
            ImageError: it is no regular file, leads outside, or cannot be read.
        """
        ...

    def release(self, content: FileRange) -> None:
        """Close a file found."""
        ...

    def close(self) -> None:
        """Close everything, files not yet released included."""
        ...


class DirectoryFiles:
    """The files below one directory, which symbolic links cannot leave."""

    def __init__(self, path: str, name: str) -> None:
        """Describe the files below the directory `path`; `name` is for messages."""
        self.name = name
        self._path = path
        self._root: FileHandle | None = None
        self._opened = OpenFiles()

    def open(self) -> None:
        """Open the directory; later renames and replacements of it have no effect on what is read."""
        try:
            descriptor = os.open(self._path, _OPEN_DIRECTORY)
        except (OSError, ValueError) as error:
            raise ImageError(f"{self.name}: {_reason(error)}") from error
        self._root = self._opened.adopt(descriptor, self.name)

    def find(self, path: str) -> FileRange | None:
        """Open the regular file at `path`, None if there is none."""
        name = f"{self.name}: {path}"
        if self._root is None:
            raise ImageError(f"{name}: read before the source was opened")
        with self._root.use() as directory:
            try:
                descriptor = open_regular_beneath(directory, path)
            except FileNotFoundError:
                return None
            except LeavesDirectoryError as error:
                raise ImageError(f"{name}: a symbolic link points outside the layout") from error
            except OSError as error:
                raise ImageError(f"{name}: {_reason(error)}") from error
        file = self._opened.adopt(descriptor, name)
        return FileRange(file, 0, file.status().st_size)

    def release(self, content: FileRange) -> None:
        """Close a file found."""
        self._opened.release(content.file)

    def close(self) -> None:
        """Close the directory and all files."""
        self._opened.close()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such directory"
    if isinstance(error, NotADirectoryError):
        return "not a directory"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
