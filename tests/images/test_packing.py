from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import FileRange, ImageError
from aioecrpublic.images.handles import FileHandle, OpenFiles
from aioecrpublic.images.packing import CHUNK, Compressor, Spool, chunks, decompressed, detect
from tests.support.oci import random_bytes, tar_bytes
from tests.support.tools import require

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aioecrpublic.images.packing import Format

LIMIT = 64 * 1024 * 1024
COMPRESS: dict[Format, Callable[..., bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lambda data, level=6: lzma.compress(data, preset=level),
    "bzip2": bz2.compress,
}
MIXED = (random_bytes(CHUNK) + bytes(2 * CHUNK)) * 2 + b"end"
BRIEF = random_bytes(CHUNK // 2) + bytes(2 * CHUNK) + b"end"
"""For what takes its time."""


def v7_tar(name: str) -> bytes:
    """A tar file of before there was a magic number in it."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


@contextmanager
def content_of(data: bytes) -> Generator[FileRange, None, None]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        handle = FileHandle(os.dup(file.fileno()), "file")
    try:
        yield FileRange(handle, 0, len(data))
    finally:
        handle.close()


def unpack(data: bytes, kind: Format, limit: int = LIMIT) -> bytes:
    with content_of(data) as content:
        pieces = list(decompressed(content, kind, "file", limit))
    assert all(len(piece) <= CHUNK for piece in pieces)
    return b"".join(pieces)


def pack(data: bytes) -> bytes:
    with content_of(data) as content:
        compressor = Compressor()
        return b"".join([*map(compressor.add, chunks(content)), compressor.finish()])


@given(st.binary(max_size=5000), st.integers(0, 9))
def test_what_was_compressed_by_others_is_read(data: bytes, level: int) -> None:
    for kind, compress in COMPRESS.items():
        first = bz2.compress(data, max(level, 1)) if kind == "bzip2" else compress(data, level)
        assert unpack(first, kind) == data
        assert unpack(first + compress(b"more"), kind) == data + b"more"


def test_what_zstd_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("backports", "compression"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImageError, match=r"file: zstd .*; run: pip install 'aioecrpublic\[zstd\]'"):
        unpack(zstd.compress(b"data"), "zstd")


@given(st.binary(max_size=5000))
def test_what_is_compressed_here_is_read_by_others(data: bytes) -> None:
    assert gzip.decompress(pack(data)) == data


def test_large_files_are_read_and_written_in_chunks() -> None:
    packed = pack(MIXED)
    assert gzip.decompress(packed) == MIXED
    assert unpack(packed, "gzip") == MIXED
    for kind, compress in COMPRESS.items():
        assert unpack(compress(BRIEF), kind) == BRIEF
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert unpack(skippable + zstd.compress(MIXED) + skippable, "zstd") == MIXED


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_padding_after_compressed_data_is_ignored(kind: Format) -> None:
    packed = COMPRESS[kind](b"data")
    assert unpack(packed + bytes(1000), kind) == b"data"
    assert unpack(packed + bytes(12) + packed, kind) == b"datadata"
    assert unpack(packed + bytes(200_000) + packed, kind) == b"datadata"


def test_compressing_is_deterministic_across_processes() -> None:
    program = (
        "import sys; from aioecrpublic.images.packing import CHUNK, Compressor;"
        "made = Compressor();"
        "data = sys.stdin.buffer.read();"
        "parts = (data[n : n + CHUNK] for n in range(0, len(data), CHUNK));"
        "sys.stdout.buffer.write(b''.join([*map(made.add, parts), made.finish()]))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], input=MIXED, capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1] == pack(MIXED)
    assert runs[0][:10].hex()[:16] == "1f8b080000000000", "a gzip header without name and time"


@pytest.mark.interop
def test_gzip_itself_reads_it() -> None:
    done = subprocess.run([require("gzip"), "-dc"], input=pack(MIXED), capture_output=True, check=True)
    assert done.stdout == MIXED


def test_formats_are_detected_by_their_first_bytes() -> None:
    for data, kind in {
        **{compress(b"x"): kind for kind, compress in COMPRESS.items()},
        **{bytes([0x50 + number]) + b"\x2a\x4d\x18" + bytes(4): "zstd" for number in range(16)},
        tar_bytes({"a": b"x"}): None,
        tar_bytes({"BZh": b"x"}): None,
        v7_tar("BZh"): None,
        bytes(1024): None,
        b"": None,
        b"\x1f": None,
    }.items():
        with content_of(data) as content:
            assert detect(content) == kind


GZIP = gzip.compress(random_bytes(10_000), mtime=0)
ZSTD = zstd.compress(random_bytes(10_000))
XZ = lzma.compress(random_bytes(10_000))
BZIP2 = bz2.compress(random_bytes(10_000))


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (GZIP[:-1], "gzip", "file: the gzip data is truncated"),
        (GZIP[:5], "gzip", "file: the gzip data is truncated"),
        (GZIP[:-6] + b"xx" + GZIP[-4:], "gzip", "file: damaged gzip data"),
        (GZIP + b"garbage", "gzip", "file: damaged gzip data"),
        (b"\x1f\x8b" + b"x" * 100, "gzip", "file: damaged gzip data"),
        (ZSTD[:-1], "zstd", "file: the zstd data is truncated"),
        (ZSTD[:5], "zstd", "file: the zstd data is truncated"),
        (ZSTD + b"garbage", "zstd", "file: damaged zstd data"),
        (ZSTD[:4] + b"xxxxxxxx", "zstd", "file: damaged zstd data"),
        (XZ[:-1], "xz", "file: the xz data is truncated"),
        (XZ[:100] + b"xx" + XZ[102:], "xz", "file: damaged xz data, or a dictionary that takes more than"),
        (XZ + b"garbage" * 5, "xz", "file: damaged xz data"),
        (BZIP2[:-1], "bzip2", "file: the bzip2 data is truncated"),
        (BZIP2[:100] + b"xx" + BZIP2[102:], "bzip2", "file: damaged bzip2 data"),
        (BZIP2 + b"garbage", "bzip2", "file: damaged bzip2 data"),
    ],
)
def test_damaged_data(data: bytes, kind: Format, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        unpack(data, kind)


def test_a_window_that_takes_too_much_memory_is_refused() -> None:
    engine = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises(ImageError, match="a window of more than 32 MiB"):
        unpack(engine.compress(random_bytes(CHUNK)) + engine.flush(), "zstd")


def test_a_dictionary_that_takes_too_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 512 * CHUNK}]
    with pytest.raises(ImageError, match="a dictionary that takes more than 80 MiB"):
        unpack(lzma.compress(b"data", filters=filters), "xz")
    assert unpack(lzma.compress(b"data", preset=9 | lzma.PRESET_EXTREME), "xz") == b"data"


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_members_that_hold_nothing_are_bounded(kind: Format) -> None:
    """Each costs some memory and time to begin, and none counts towards the limit of bytes."""
    empty = COMPRESS[kind](b"")
    with pytest.raises(ImageError, match=rf"file: 10001 pieces of {kind} hold only 0 bytes"):
        unpack(empty * 200_000, kind)
    small = COMPRESS[kind](b"x" * 512)
    assert unpack(small * 11_000, kind) == b"x" * 512 * 11_000


def test_skippable_frames_are_bounded() -> None:
    skippable = b"\x50\x2a\x4d\x18" + bytes(4)
    with pytest.raises(ImageError, match="10001 pieces of zstd hold only 0 bytes"):
        unpack(skippable * 200_000, "zstd")
    with pytest.raises(ImageError, match="bytes of zstd hold only 0 bytes"):
        unpack(b"\x50\x2a\x4d\x18" + (20 * CHUNK).to_bytes(4, "little") + bytes(20 * CHUNK), "zstd")


def test_blocks_that_hold_nothing_are_bounded() -> None:
    """An empty stored block of deflate has five bytes, so a member can be long and hold nothing."""
    header, trailer = GZIP[:10], bytes(8)
    with pytest.raises(ImageError, match="bytes of gzip hold only 0 bytes"):
        unpack(header + b"\0\0\0\xff\xff" * (4 * CHUNK) + b"\1\0\0\xff\xff" + trailer, "gzip")


def test_a_hole_after_compressed_data_is_not_read_to_its_end() -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(GZIP)
        file.truncate(2**40)
        handle = FileHandle(os.dup(file.fileno()), "file")
    with pytest.raises(ImageError, match="bytes of gzip hold only 10000 bytes"):
        list(decompressed(FileRange(handle, 0, 2**40), "gzip", "file", LIMIT))
    handle.close()


@pytest.mark.parametrize("module", ["lzma", "bz2"])
def test_what_a_python_without_a_codec_needs_is_said(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    kind: Format = "xz" if module == "lzma" else "bzip2"
    with pytest.raises(ImageError, match=f"file: {kind} data needs the module {module}, which this Python"):
        unpack(XZ if kind == "xz" else BZIP2, kind)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gzip", []),
        ("zstd", ["-19"]),
        ("zstd", ["--ultra", "-20", "--long=25"]),
        ("xz", ["-9e"]),
        ("xz", ["-T2", "--block-size=1000000"]),
        ("xz", ["--check=none"]),
        ("bzip2", []),
    ],
)
def test_what_the_tools_themselves_write(kind: Format, options: list[str]) -> None:
    command = [require(kind), "-c", *options]
    packed = subprocess.run(command, input=BRIEF, capture_output=True, check=True).stdout
    with content_of(packed) as content:
        assert detect(content) == kind
    assert unpack(packed, kind) == BRIEF


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_bombs_stop_at_the_limit(kind: Format) -> None:
    bomb = COMPRESS[kind](bytes(8 * CHUNK))
    assert len(unpack(bomb, kind, 8 * CHUNK)) == 8 * CHUNK
    seen: list[int] = []
    with content_of(bomb) as content:
        pieces = decompressed(content, kind, "file", 3 * CHUNK)
        with pytest.raises(ImageError, match=r"hold more than 3145728 bytes; .* bomb"):
            seen.extend(map(len, pieces))
    assert 0 < sum(seen) <= 3 * CHUNK


def test_a_spool_has_no_name_and_gives_back_what_was_written() -> None:
    files = OpenFiles()
    spool = Spool(files, "test")
    first = spool.append([b"one", b"", b"two"])
    second = spool.append([b"three"])
    assert (first.read_at(0, 6), second.read_at(0, 5)) == (b"onetwo", b"three")
    assert spool.file.status().st_nlink == 0
    files.close()
    with pytest.raises(ImageError, match="temporary file of test: read after it was closed"):
        first.read_at(0, 1)
    with pytest.raises(ImageError, match="closed"):
        spool.append([b"x"])
    with pytest.raises(ImageError, match="closed"):
        Spool(files, "test")


def test_no_place_for_temporary_files_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(ImageError, match="temporary file of test: cannot be created: No such file"):
        Spool(OpenFiles(), "test")


def test_a_full_disk_is_an_image_error() -> None:
    handle = FileHandle(os.open("/dev/full", os.O_RDWR), "temporary file")
    with pytest.raises(ImageError, match="temporary file: cannot be written: No space left on device"):
        handle.write_at(0, b"data")
    handle.close()
