from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import (
    DirectoryImage,
    DockerArchive,
    ImageError,
    ImageSource,
    OCIArchive,
    OCILayout,
    open_image,
)
from tests.images.helpers import assert_holds, error_of
from tests.support.oci import tar_layout, write_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oci import BuiltImage


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    image = write_image(tmp_path / "layout", tag="1.0")
    write_image(tmp_path / "layout", tag="2.0", seed=9)
    tar_layout(image.directory, tmp_path / "layout.tar")
    (tmp_path / "layout.tar.gz").write_bytes(gzip.compress((tmp_path / "layout.tar").read_bytes()))
    return image


@pytest.mark.parametrize(
    "form",
    [
        "oci:{}/layout:1.0",
        "oci:{}/layout:{digest}",
        "oci-archive:{}/layout.tar:1.0",
        "oci-archive:{}/layout.tar.gz:1.0",
        "docker-archive:{}/layout.tar:1.0",
        "{}/layout:1.0",
        "{}/layout/:1.0",
        "{}/layout.tar:1.0",
        "{}/layout.tar.gz:1.0",
        "{}/layout.tar:{digest}",
    ],
)
async def test_each_form_opens_the_image(image: BuiltImage, tmp_path: Path, form: str) -> None:
    async with open_image(form.format(tmp_path, digest=image.digest)) as source:
        assert isinstance(source, ImageSource)
        await assert_holds(source, image)


async def test_paths_are_taken_whole_if_they_exist(tmp_path: Path) -> None:
    image = write_image(tmp_path / "lay:out", tag="1.0")
    async with open_image(tmp_path / "lay:out") as source:
        await assert_holds(source, image)
        assert source.name == f"oci:{tmp_path}/lay:out"
    async with open_image(f"{tmp_path}/lay:out:1.0") as source:
        await assert_holds(source, image)
        assert source.name == f"oci:{tmp_path}/lay:out:1.0"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("oci:a", OCILayout),
        ("oci:a:b", OCILayout),
        ("oci-archive:a.tar", OCIArchive),
        ("docker-archive:a.tar:b:c", DockerArchive),
        ("docker-archive:-", DockerArchive),
        ("oci-archive:-:1.0", OCIArchive),
        ("dir:a:b", DirectoryImage),
    ],
)
def test_kinds_are_told_by_the_prefix(text: str, kind: type[ImageSource]) -> None:
    source = open_image(text)
    assert type(source) is kind
    assert source.name == text
    assert open_image(source) is source


@pytest.mark.parametrize(
    "text", ["", "oci:", "oci::1.0", "docker-daemon:app:1", "http://example.com/x", "containers-storage:x"]
)
def test_other_forms_are_refused_at_once(text: str) -> None:
    with pytest.raises(ImageError, match=r"expected oci:DIR\[:REFERENCE\]"):
        open_image(text)


async def test_nothing_at_the_path(tmp_path: Path) -> None:
    for text in (str(tmp_path / "nothing"), f"{tmp_path}/nothing:1.0", f"{tmp_path / 'nothing'}:app:1.0"):
        error = await error_of(open_image(text))
        assert error.startswith(f"'{text}': no such file or directory; expected oci:DIR")
    assert "null" in await error_of(open_image("a\0b"))


async def test_something_else_at_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"something else entirely" * 100)
    assert "not a tar file" in await error_of(open_image(tmp_path / "file"))
    (tmp_path / "empty").touch()
    assert await error_of(open_image(tmp_path / "empty")) == f"{tmp_path}/empty: not a tar file: empty"
    assert "oci-layout is missing" in await error_of(open_image(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert await error_of(open_image(tmp_path / "pipe")) == f"{tmp_path}/pipe: not a regular file (a FIFO)"


async def test_a_source_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    for text in ("oci:a", "oci-archive:a", "docker-archive:a", "dir:a", "-", "oci-archive:-", "a"):
        await open_image(text).close()
