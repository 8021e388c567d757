"""What is read of a gallery page's directory: regular files in it, of a bounded size, and nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic._common.fileio import read_descriptor
from aioecrpublic.errors import ConfigurationError
from aioecrpublic.manage.catalog_files import LOGOS, read_page
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "aws_secret_access_key = TOPSECRET"
NAMES = ("about.md", "usage.md", "catalog.toml", *LOGOS)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "credentials").write_text(SECRET)
    directory = tmp_path / "page"
    directory.mkdir()
    (directory / "README.md").write_text("About it.")
    return directory


def refused(page: Path) -> str:
    """The error of a page that cannot be read."""
    with pytest.raises(ConfigurationError) as caught:
        read_page(page, "team/app")
    assert "TOPSECRET" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "target",
    [
        "../credentials",
        "{root}/credentials",
        "./../page/../credentials",
        "within/../../credentials",
        "out/credentials",
        "chain",
        "/proc/self/environ",
        "/dev/zero",
        "/dev/stdin",
    ],
)
def test_no_link_leads_out(name: str, target: str, page: Path) -> None:
    (page / "within").mkdir()
    (page / "out").symlink_to("..")
    (page / "chain").symlink_to("out/credentials")
    (page / name).symlink_to(target.format(root=page.parent))
    assert refused(page) == f"{page / name}: cannot be read: a symbolic link points outside the directory"


def test_links_within_and_to_the_directory_are_followed(page: Path) -> None:
    (page / "docs").mkdir()
    (page / "docs" / "text").write_text("About it.")
    (page / "docs" / "README.md").symlink_to("../README.md")
    (page / "about.md").symlink_to("README.md")
    (page / "usage.md").symlink_to("docs/README.md")
    (page.parent / "link").symlink_to("page")
    for directory in (page, page.parent / "link"):
        read = read_page(directory, "team/app")
        assert (read.about_text, read.usage_text) == ("About it.", "About it.")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "not a regular file (a FIFO)"),
        (Path.mkdir, "not a regular file (a directory)"),
        (lambda path: path.symlink_to("fifo"), "not a regular file (a FIFO)"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "too many symbolic links"),
        (lambda path: path.symlink_to("README.md/text"), "Not a directory"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_only_regular_files_are_read(name: str, make: Callable[[Path], None], says: str, page: Path) -> None:
    os.mkfifo(page / "fifo")
    make(page / name)
    assert refused(page) == f"{page / name}: cannot be read: {says}"


def test_a_socket_is_no_file(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by its whole path: the name of a socket is short.
    monkeypatch.chdir(page)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("about.md")
        assert "about.md: cannot be read: " in refused(page)


@pytest.mark.parametrize("name", NAMES)
def test_no_more_is_read_than_can_be_meant(name: str, page: Path) -> None:
    (page / name).touch()
    os.truncate(page / name, 2**40)
    most = 32 * 1024 if name == "catalog.toml" else 1024 * 1024
    assert refused(page) == f"{page / name}: cannot be read: larger than {most} bytes"


@pytest.mark.parametrize("change", ["appended", "rewritten", "cut"])
def test_a_file_that_is_written_to_meanwhile_is_not_taken(
    change: str, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = page / "about.md"
    about.write_text("x" * 1000)

    def read_and_change(descriptor: int, limit: int, path: str) -> bytes:
        os.utime(about, (0, 0))
        if change == "cut":
            os.truncate(about, 10)
        content = read_descriptor(descriptor, limit, path)
        if change == "appended":
            with about.open("a") as file:
                file.write("more")
        elif change == "rewritten":
            about.write_text("y" * 1000)
        return content

    monkeypatch.setattr("aioecrpublic.manage.catalog_files.read_descriptor", read_and_change)
    assert refused(page) == f"{about}: cannot be read: it was written to meanwhile"


@pytest.mark.parametrize("table", ["a = " + "[" * 20_000, "a = " + "1" * 20_000, "a = {b" + "={b" * 9_000])
def test_a_table_that_python_does_not_take_is_no_table(table: str, page: Path) -> None:
    (page / "catalog.toml").write_text(table)
    assert refused(page).startswith(f"{page / 'catalog.toml'}: not TOML: ")


@pytest.mark.parametrize("name", ["a\0b", "missing", "README.md", "README.md/x"])
def test_a_directory_that_cannot_be(name: str, page: Path) -> None:
    assert ": cannot be read: " in refused(page / name)


@pytest.mark.slow
@settings(max_examples=100_000 if SOAK else 1000)
@given(
    content=st.binary(max_size=300) | st.text("abé =[]{}\"'.,#\\1e+-:\n\r\0", max_size=100).map(str.encode),
    name=st.sampled_from(NAMES),
)
def test_any_bytes_are_a_page_or_one_error(
    content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.getbasetemp() / "any"
    page.mkdir(exist_ok=True)
    (page / name).write_bytes(content)
    try:
        read_page(page, "team/app")
    except ConfigurationError as error:
        assert str(error).startswith(f"{page / name}: ")  # noqa: PT017 - not every page is refused
    finally:
        (page / name).unlink()
