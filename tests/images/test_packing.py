from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import FileRange, ImageError
from aioecrpublic.images.handles import FileHandle, OpenFiles
from aioecrpublic.images.packing import CHUNK, Spool, chunks, compressed, decompressed, detect
from tests.support.oci import random_bytes, tar_bytes
from tests.support.tools import require

if TYPE_CHECKING:
    from collections.abc import Generator

    from aioecrpublic.images.packing import Format

LIMIT = 64 * 1024 * 1024
MIXED = (random_bytes(CHUNK) + bytes(2 * CHUNK)) * 2 + b"end"


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
        return b"".join(compressed(chunks(content)))


@given(st.binary(max_size=5000), st.integers(0, 9))
def test_what_was_compressed_by_others_is_read(data: bytes, level: int) -> None:
    assert unpack(gzip.compress(data, level), "gzip") == data
    assert unpack(zstd.compress(data, level), "zstd") == data
    assert unpack(gzip.compress(data, level) + gzip.compress(b"more"), "gzip") == data + b"more"
    assert unpack(zstd.compress(data, level) + zstd.compress(b"more"), "zstd") == data + b"more"


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
    assert unpack(zstd.compress(MIXED), "zstd") == MIXED
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert unpack(skippable + zstd.compress(MIXED) + skippable, "zstd") == MIXED


def test_padding_after_gzip_data_is_ignored() -> None:
    packed = gzip.compress(b"data")
    assert unpack(packed + bytes(1000), "gzip") == b"data"
    assert unpack(packed + bytes(10) + packed, "gzip") == b"datadata"


def test_compressing_is_deterministic_across_processes() -> None:
    program = (
        "import sys; from aioecrpublic.images.packing import CHUNK, compressed;"
        "data = sys.stdin.buffer.read();"
        "parts = (data[n : n + CHUNK] for n in range(0, len(data), CHUNK));"
        "sys.stdout.buffer.write(b''.join(compressed(parts)))"
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
        gzip.compress(b"x"): "gzip",
        zstd.compress(b"x"): "zstd",
        tar_bytes({"a": b"x"}): None,
        tar_bytes({"BZh": b"x"}): None,
        b"": None,
        b"\x1f": None,
    }.items():
        with content_of(data) as content:
            assert detect(content, "file") == kind
    for data in (bz2.compress(b"x"), lzma.compress(b"x")):
        with (
            content_of(data) as content,
            pytest.raises(ImageError, match=r"file: compressed by (bzip2|xz), which"),
        ):
            detect(content, "file")


GZIP = gzip.compress(random_bytes(10_000), mtime=0)
ZSTD = zstd.compress(random_bytes(10_000))


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
    ],
)
def test_damaged_data(data: bytes, kind: Format, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        unpack(data, kind)


def test_a_window_that_takes_too_much_memory_is_refused() -> None:
    engine = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises(ImageError, match="a window of more than 32 MiB"):
        unpack(engine.compress(random_bytes(CHUNK)) + engine.flush(), "zstd")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bombs_stop_at_the_limit(kind: Format) -> None:
    bomb = gzip.compress(bytes(8 * CHUNK)) if kind == "gzip" else zstd.compress(bytes(8 * CHUNK))
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


def test_a_full_disk_is_an_image_error() -> None:
    handle = FileHandle(os.open("/dev/full", os.O_RDWR), "temporary file")
    with pytest.raises(ImageError, match="temporary file: cannot be written: No space left on device"):
        handle.write_at(0, b"data")
    handle.close()
