from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from aioecrpublic.images import Descriptor, ImageError, OCIArchive, load_image, packing
from aioecrpublic.images.archive import expansion_limit
from tests.images.conftest import open_paths
from tests.images.helpers import assert_cancellable, assert_holds, error_of
from tests.support.oci import tar_layout, write_image, write_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.oci import BuiltImage

FORMS = [bytes, gzip.compress, zstd.compress, lzma.compress, bz2.compress]


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return write_index(tmp_path / "layout", attestations=True, layer_size=5000)


@pytest.fixture
def archive(image: BuiltImage, tmp_path: Path) -> Path:
    return tar_layout(image.directory, tmp_path / "image.tar")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefix", ["", "./"])
async def test_an_archive_is_read_as_it_is(
    image: BuiltImage, tmp_path: Path, form: Callable[[bytes], bytes], prefix: str
) -> None:
    archive = tar_layout(image.directory, tmp_path / "image.tar", prefix=prefix)
    archive.write_bytes(form(archive.read_bytes()))
    async with OCIArchive(archive) as source:
        assert source.name == f"oci-archive:{archive}"
        await assert_holds(source, image)


async def test_an_archive_is_read_in_place(archive: Path) -> None:
    before = open_paths()
    async with OCIArchive(archive) as source:
        await load_image(source)
        assert open_paths() - before == {str(archive): 1}


@pytest.mark.parametrize("form", [gzip.compress, zstd.compress])
async def test_a_compressed_archive_takes_one_unnamed_temporary_file(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[bytes], bytes]
) -> None:
    archive.write_bytes(form(archive.read_bytes()))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    before = open_paths()
    async with OCIArchive(archive) as source:
        await load_image(source)
        (opened,) = open_paths() - before
        assert opened.startswith(str(tmp_path / "tmp"))
        assert opened.endswith("(deleted)")
        assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_blob_outlives_neither_its_archive_nor_its_own_close(
    image: BuiltImage, archive: Path
) -> None:
    source = OCIArchive(archive)
    await source.open()
    descriptor = Descriptor(media_type="a/b", digest=image.layers[0], size=5000)
    first, second = await source.open_blob(descriptor), await source.open_blob(descriptor)
    reader = await second.read(0, 10)
    await first.close()
    assert reader.read_at(0, 10) == image.read(image.layers[0])[:10]
    await source.close()
    with pytest.raises(ImageError, match="read after it was closed"):
        reader.read_at(0, 10)
    await second.close()


async def test_the_reference_and_referrers_are_those_of_the_layout(tmp_path: Path) -> None:
    image = write_image(tmp_path / "layout", tag="1.0")
    write_image(tmp_path / "layout", tag="2.0", seed=7)
    archive = tar_layout(tmp_path / "layout", tmp_path / "image.tar")
    assert "choose one of 1.0, 2.0" in await error_of(OCIArchive(archive))
    async with OCIArchive(archive, "1.0") as source:
        await assert_holds(source, image)
        assert await source.referrers(image.digest) == ()


class TestRefused:
    async def test_no_file(self, tmp_path: Path) -> None:
        assert await error_of(OCIArchive(tmp_path / "x")) == (
            f"oci-archive:{tmp_path}/x: No such file or directory"
        )
        reason = await error_of(OCIArchive(tmp_path))
        assert reason == f"oci-archive:{tmp_path}: not a regular file (a directory)"

    async def test_no_layout_in_it(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            tar.addfile(tarfile.TarInfo("index.json"))
        assert "oci-layout is missing; this is no OCI image layout" in await error_of(
            OCIArchive(tmp_path / "x.tar")
        )

    async def test_a_truncated_archive(self, archive: Path) -> None:
        whole = archive.read_bytes()
        # The last member is oci-layout: cut inside a blob before it.
        for size in (len(whole) // 2, 700, 100):
            archive.write_bytes(whole[:size])
            assert "truncated" in await error_of(OCIArchive(archive))

    @pytest.mark.parametrize("form", [gzip.compress, zstd.compress])
    async def test_a_truncated_compressed_archive(
        self, archive: Path, form: Callable[[bytes], bytes]
    ) -> None:
        archive.write_bytes(form(archive.read_bytes())[:-100])
        assert "data is truncated" in await error_of(OCIArchive(archive))

    async def test_a_missing_blob(self, image: BuiltImage, tmp_path: Path) -> None:
        image.path(image.layers[0]).unlink()
        archive = tar_layout(image.directory, tmp_path / "image.tar")
        assert (
            await error_of(OCIArchive(archive)) == f"oci-archive:{archive}: blob {image.layers[0]} is missing"
        )

    async def test_two_indexes(self, image: BuiltImage, archive: Path) -> None:
        with tarfile.open(archive, "a") as tar:
            tar.add(image.directory / "index.json", "index.json")
        async with OCIArchive(archive) as source:
            await assert_holds(source, image)
        with tarfile.open(archive, "a") as tar:
            tar.add(image.directory / "oci-layout", "index.json")
        assert await error_of(OCIArchive(archive)) == (
            f"oci-archive:{archive}: entry 'index.json' is there more than once, with different content"
        )

    async def test_an_entry_outside(self, archive: Path) -> None:
        with tarfile.open(archive, "a") as tar:
            tar.addfile(tarfile.TarInfo("../../etc/passwd"))
        assert await error_of(OCIArchive(archive)) == (
            f"oci-archive:{archive}: entry '../../etc/passwd' points outside the archive"
        )

    @pytest.mark.parametrize("form", [gzip.compress, zstd.compress])
    async def test_a_bomb(self, tmp_path: Path, form: Callable[[bytes], bytes]) -> None:
        bomb = tmp_path / "bomb.tar"
        bomb.write_bytes(form(bytes(90 * 1024 * 1024)))
        limit = expansion_limit(bomb.stat().st_size)
        assert 64 * 1024 * 1024 < limit < 80 * 1024 * 1024
        assert await error_of(OCIArchive(bomb)) == (
            f"oci-archive:{bomb}: {bomb.stat().st_size} bytes of "
            f"{'gzip' if form is gzip.compress else 'zstd'} hold more than {limit} bytes; "
            "this is taken for a decompression bomb"
        )

    async def test_the_limit_can_be_set(self, archive: Path, image: BuiltImage) -> None:
        size = archive.stat().st_size
        archive.write_bytes(gzip.compress(archive.read_bytes()))
        assert f"hold more than {size - 1} bytes" in await error_of(
            OCIArchive(archive, max_unpacked_size=size - 1)
        )
        async with OCIArchive(archive, max_unpacked_size=size) as source:
            await assert_holds(source, image)

    async def test_a_full_disk(self, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive.write_bytes(gzip.compress(archive.read_bytes()))
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # ruff: ignore[open-file-with-context-handler, builtin-open] - a stand-in for it
        error = await error_of(OCIArchive(archive))
        assert error == (
            f"temporary file of oci-archive:{archive}: cannot be written: No space left on device"
        )


async def test_cancelling_stops_decompression(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.write_bytes(gzip.compress(archive.read_bytes()))
    await assert_cancellable(OCIArchive(archive), packing, monkeypatch)
