"""Files are looked at before they are opened, and none waits, leads away or is larger than expected."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aioecrpublic._common.fileio import (
    FileTooLargeError,
    LeavesDirectoryError,
    NotRegularFileError,
    open_regular,
    open_regular_beneath,
    read_regular,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is opened."""
    names: list[str] = []
    os_open = os.open

    def record(path: str | os.PathLike[str], *args: int, **kwargs: int) -> int:
        names.append(os.fspath(path))
        return os_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", record)
    return names


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a socket": make_socket,
    "a character device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_no_file_is_not_opened(tmp_path: Path, opened: list[str], kind: str) -> None:
    KINDS[kind](tmp_path / "x")
    for read in (open_regular, lambda path: read_regular(path, 10)):
        with pytest.raises(NotRegularFileError, match=rf"not a regular file \({kind}\)"):
            read(tmp_path / "x")
    assert opened == []


@pytest.mark.parametrize("kind", ["a FIFO", "a socket"])
def test_nor_is_it_below_a_directory(tmp_path: Path, root: int, opened: list[str], kind: str) -> None:
    (tmp_path / "d").mkdir()
    KINDS[kind](tmp_path / "d/x")
    (tmp_path / "link").symlink_to("d/x")
    for path in ("d/x", "link"):
        with pytest.raises(NotRegularFileError, match=rf"not a regular file \({kind}\)"):
            open_regular_beneath(root, path)
    assert "x" not in opened


def test_a_directory_below_a_directory_is_no_file(tmp_path: Path, root: int) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(NotRegularFileError, match="a directory"):
        open_regular_beneath(root, "d")


@pytest.mark.parametrize("path", ["../x", "d/../../x", "/etc/passwd", "away", "absolute", "d/up/../../x"])
def test_no_path_leads_away(tmp_path: Path, root: int, path: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "away").symlink_to("../x")
    (tmp_path / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "d/up").symlink_to("..")
    with pytest.raises(LeavesDirectoryError, match="points outside the directory"):
        open_regular_beneath(root, path)


def test_links_within_are_followed(tmp_path: Path, root: int) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_bytes(b"content")
    (tmp_path / "d/up").symlink_to("..")
    (tmp_path / "link").symlink_to("d/up/d/./file")
    descriptor = open_regular_beneath(root, "link")
    assert os.read(descriptor, 100) == b"content"
    os.close(descriptor)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="too many symbolic links"):
        open_regular_beneath(root, "circle")


def test_a_link_that_comes_at_that_moment_is_not_followed_away(
    tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    os_stat = os.stat

    def swap(path: str, **options: object) -> os.stat_result:
        status = os_stat(path, **options)  # type: ignore[arg-type]
        (tmp_path / "x").unlink()
        (tmp_path / "x").symlink_to("/etc/passwd")
        return status

    monkeypatch.setattr(os, "stat", swap)
    with pytest.raises(LeavesDirectoryError):
        open_regular_beneath(root, "x")


def test_no_more_is_read_than_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    with pytest.raises(FileTooLargeError, match="larger than 4 bytes"):
        read_regular(tmp_path / "x", 4)
    os.truncate(tmp_path / "x", 2**40)
    with pytest.raises(FileTooLargeError, match="larger than 1000 bytes"):
        read_regular(tmp_path / "x", 1000)
