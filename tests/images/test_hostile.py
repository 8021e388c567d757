"""Images made to do harm: each ends in one `ImageError`, and none takes much memory on the way."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from backports import zstd

from tests.support.oci import (
    OCI_INDEX,
    OCI_MANIFEST,
    LayoutBuilder,
    digest_of,
    encode,
    random_layer,
    tar_layout,
    write_image,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.oci import Document

MIB = 1024 * 1024
BUDGET = 64 * MIB

Maker: TypeAlias = "Callable[[Path], Path]"
MAKERS: dict[str, tuple[str, Maker]] = {}


def hostile(message: str) -> Callable[[Maker], Maker]:
    """Register a maker of a hostile image, with what its error says."""

    def register(maker: Maker) -> Maker:
        MAKERS[maker.__name__] = (message, maker)
        return maker

    return register


def layout_with_root(directory: Path, raw: bytes, media_type: str = OCI_MANIFEST, **lies: object) -> Path:
    builder = LayoutBuilder(directory)
    entry = {**builder.descriptor(raw, media_type), **lies}
    (directory / "index.json").write_bytes(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    return directory


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info, data


@hostile("no digest")
def digest_with_a_path(directory: Path) -> Path:
    return layout_with_root(directory, b"{}", digest="sha256:../../../../etc/passwd")


@hostile("points outside the archive")
def path_out_of_the_archive(directory: Path) -> Path:
    return tar_of(directory, member("../../../etc/cron.d/x", b"x"))


@hostile("points outside the archive")
def absolute_link(directory: Path) -> Path:
    return tar_of(directory, member("index.json", kind=tarfile.SYMTYPE, link="/etc/passwd"))


@hostile("points outside the archive")
def hard_link_out_of_the_archive(directory: Path) -> Path:
    return tar_of(directory, member("oci-layout", kind=tarfile.LNKTYPE, link="../../etc/passwd"))


@hostile("points outside the archive")
def docker_layer_out_of_the_archive(directory: Path) -> Path:
    manifest = [{"Config": "../../etc/passwd", "RepoTags": None, "Layers": ["/etc/shadow"]}]
    return tar_of(directory, member("manifest.json", json.dumps(manifest).encode()))


@hostile("a symbolic link points outside the layout")
def link_out_of_the_layout(directory: Path) -> Path:
    image = write_image(directory)
    path = image.path(image.layers[0])
    path.unlink()
    path.symlink_to("/dev/zero")
    return directory


@hostile("but its descriptor says 1000000000000")
def size_that_lies(directory: Path) -> Path:
    builder = LayoutBuilder(directory)
    image = builder.image([random_layer(10)])
    raw = image.read(image.digest).replace(b'"size":10}', b'"size":1000000000000}')
    return layout_with_root(directory, raw)


@hostile("more than the 4194304 that ECR Public takes")
def manifest_of_5_mib(directory: Path) -> Path:
    return layout_with_root(directory, b" " * 5 * MIB)


@hostile("but its descriptor says 100")
def manifest_of_5_mib_that_says_100_bytes(directory: Path) -> Path:
    return layout_with_root(directory, b" " * 5 * MIB, size=100)


@hostile("the content has the digest")
def digest_that_does_not_match(directory: Path) -> Path:
    lie = digest_of(b"{}")
    layout_with_root(directory, b"xx", digest=lie)
    (directory / "blobs/sha256" / lie[7:]).write_bytes(b"xx")
    return directory


@hostile("nested too deeply")
def json_nested_deeply(directory: Path) -> Path:
    return layout_with_root(directory, b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


@hostile("nested too deeply")
def json_of_4_mib_of_brackets(directory: Path) -> Path:
    return layout_with_root(directory, b'{"a":' + b"[" * 299_000)


@hostile("more than 300000 values")
def json_of_4_mib_of_empty_lists(directory: Path) -> Path:
    return layout_with_root(directory, b'{"a":[' + b"[]," * 1_390_000 + b"[]]}")


@hostile("is there twice")
def json_with_a_member_twice(directory: Path) -> Path:
    return layout_with_root(directory, b'{"schemaVersion":2,"config":{},"config":{}}')


@hostile("more than 8 levels")
def thousand_nested_indexes(directory: Path) -> Path:
    builder = LayoutBuilder(directory)
    image = builder.image([random_layer(10)])
    for _ in range(1000):
        image = builder.index([image])
    builder.tag(image, "1.0")
    return directory


@hostile("bytes of manifests in one image")
def thousand_large_manifests(directory: Path) -> Path:
    builder = LayoutBuilder(directory)
    entries: list[Document] = [
        {"mediaType": OCI_MANIFEST, "digest": digest_of(b"%d" % number), "size": 4 * MIB}
        for number in range(1000)
    ]
    for number in range(8):
        raw = encode({"schemaVersion": 2, "layers": [], "annotations": {"a": f"{number}" + "x" * 4_190_000}})
        entries[number] = builder.descriptor(raw, OCI_MANIFEST)
    return layout_with_root(directory, encode({"schemaVersion": 2, "manifests": list(entries)}), OCI_INDEX)


@hostile("more than 10000")
def index_of_20_000_entries(directory: Path) -> Path:
    entry: Document = {"mediaType": OCI_MANIFEST, "digest": digest_of(b""), "size": 1}
    return layout_with_root(directory, encode({"schemaVersion": 2, "manifests": [entry] * 20_000}), OCI_INDEX)


@hostile("decompression bomb")
def gzip_bomb(directory: Path) -> Path:
    directory.write_bytes(gzip.compress(bytes(200 * MIB)))
    return directory


@hostile("decompression bomb")
def zstd_bomb(directory: Path) -> Path:
    directory.write_bytes(zstd.compress(bytes(200 * MIB)))
    return directory


@hostile("window of more than 32 MiB")
def zstd_window(directory: Path) -> Path:
    engine = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    directory.write_bytes(engine.compress(bytes(140 * MIB)) + engine.flush())
    return directory


@hostile("an extended header of")
def header_of_a_gibibyte(directory: Path) -> Path:
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 1024 * MIB
    with directory.open("wb") as file:
        file.write(info.tobuf())
        file.truncate(1024 * MIB + 10_000)
    return directory


@hostile("characters of paths")
def names_of_64_kib(directory: Path) -> Path:
    name = b"n" * (64 * 1024 - 1) + b"\0"
    long = tarfile.TarInfo("././@LongLink")
    long.type = tarfile.GNUTYPE_LONGNAME
    long.size = len(name)
    directory.write_bytes((long.tobuf() + name + tarfile.TarInfo("x").tobuf()) * 1000)
    return directory


@hostile("more than 100000 entries")
def very_many_entries(directory: Path) -> Path:
    header = tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT)
    with directory.open("wb") as file:
        for _ in range(200):
            file.write(header * 1000)
    return directory


@hostile("lines of extended headers")
def records_by_the_million(directory: Path) -> Path:
    records = b"5 a=\n" * 10_000
    extended = tarfile.TarInfo("././@PaxHeader")
    extended.type = tarfile.XHDTYPE
    extended.size = len(records)
    block = extended.tobuf() + records.ljust(len(records) + 512 - len(records) % 512, b"\0")
    directory.write_bytes((block + tarfile.TarInfo("x").tobuf()) * 60)
    return directory


@hostile("decompression bomb")
def xz_bomb(directory: Path) -> Path:
    directory.write_bytes(lzma.compress(bytes(90 * MIB)))
    return directory


@hostile("decompression bomb")
def bzip2_bomb(directory: Path) -> Path:
    directory.write_bytes(bz2.compress(bytes(20 * MIB)) * 10)
    return directory


@hostile("a dictionary that takes more than")
def xz_dictionary(directory: Path) -> Path:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    directory.write_bytes(lzma.compress(b"x", filters=filters))
    return directory


@hostile("pieces of gzip hold only")
def empty_members_by_the_million(directory: Path) -> Path:
    directory.write_bytes(gzip.compress(b"") * 1_000_000)
    return directory


@hostile("pieces of zstd hold only")
def skippable_frames_by_the_million(directory: Path) -> Path:
    directory.write_bytes((b"\x50\x2a\x4d\x18" + bytes(4)) * 1_000_000)
    return directory


@hostile("bytes of gzip hold only")
def hole_after_gzip_data(directory: Path) -> Path:
    directory.write_bytes(gzip.compress(b"x"))
    with directory.open("r+b") as file:
        file.truncate(1024 * 1024 * MIB)
    return directory


@hostile("entries in the index and those within it")
def indexes_that_multiply(directory: Path) -> Path:
    builder = LayoutBuilder(directory)
    index = builder.index([builder.image([random_layer(10)])])
    for _ in range(6):
        index = builder.index([index] * 1000)
    builder.tag(index, "1.0")
    return directory


@hostile("with different content")
def bundle_of_two_layers_of_one_name(directory: Path) -> Path:
    layer = bytes(MIB)
    config = json.dumps({"rootfs": {"diff_ids": [digest_of(layer)]}}).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["l"]}]).encode()
    entries = [("c", config), ("manifest.json", manifest), ("l", layer), ("l", layer[:-1] + b"x")]
    return tar_of(directory, *starmap(member, entries))


@hostile("not a directory")
def layout_that_is_a_pipe(directory: Path) -> Path:
    os.mkfifo(directory)
    return Path(f"oci:{directory}")


@hostile("not a regular file (a FIFO)")
def archive_that_is_a_pipe(directory: Path) -> Path:
    os.mkfifo(directory)
    return directory


@hostile("not a regular file (a FIFO)")
def index_that_is_a_pipe(directory: Path) -> Path:
    write_image(directory)
    (directory / "index.json").unlink()
    os.mkfifo(directory / "index.json")
    return directory


@hostile("more than 4194304")
def index_of_a_terabyte(directory: Path) -> Path:
    write_image(directory)
    os.truncate(directory / "index.json", 1024 * 1024 * MIB)
    return directory


@hostile("has 1099511627776 bytes, more than 8388608")
def config_of_a_terabyte(directory: Path) -> Path:
    builder = LayoutBuilder(directory)
    image = builder.image([])
    os.truncate(image.path(image.config), 1024 * 1024 * MIB)
    document = json.loads(image.read(image.digest))
    document["config"]["size"] = 1024 * 1024 * MIB
    return layout_with_root(directory, encode(document))


@hostile("manifest.json has 1099511627776 bytes")
def skopeo_directory_of_a_terabyte(directory: Path) -> Path:
    directory.mkdir()
    (directory / "manifest.json").touch()
    os.truncate(directory / "manifest.json", 1024 * 1024 * MIB)
    return directory


@hostile("too many links")
def links_in_a_circle(directory: Path) -> Path:
    return tar_of(
        directory,
        member("oci-layout", kind=tarfile.SYMTYPE, link="index.json"),
        member("index.json", kind=tarfile.SYMTYPE, link="oci-layout"),
    )


@hostile("is there more than once")
def two_indexes(directory: Path) -> Path:
    layout = write_image(directory.with_suffix(".layout")).directory
    tar_layout(layout, directory)
    with tarfile.open(directory, "a") as archive:
        archive.add(layout / "oci-layout", "./index.json")
    return directory


PROGRAM = """
import asyncio, json, re, sys
from pathlib import Path
from aioecrpublic.images import ImageError, load_image, open_image

async def load(path):
    async with open_image(path) as source:
        await load_image(source, platforms=["linux/amd64"] if "multiply" in path else None)

def peak():
    # getrusage would count what the parent had before exec.
    return int(re.search("VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) * 1024

idle = peak()
for path in sys.argv[1:]:
    try:
        asyncio.run(load(path))
        error = ""
    except ImageError as caught:
        error = str(caught)
    print(json.dumps([path, error, peak() - idle]))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """Return the error of each image and the memory the process had used by then, at most, over idle."""
    directory = tmp_path_factory.mktemp("hostile")
    paths = [str(make(directory / name)) for name, (_, make) in MAKERS.items()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=False, timeout=100
    )
    assert not done.returncode, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return {path.rpartition("/")[2]: (error, memory) for path, error, memory in lines}


@pytest.mark.parametrize("name", list(MAKERS))
def test_it_ends_in_an_image_error_within_the_memory_budget(
    name: str, results: dict[str, tuple[str, int]]
) -> None:
    error, memory = results[name]
    assert MAKERS[name][0] in error
    assert "\n" not in error
    assert memory < BUDGET, f"{memory / MIB:.0f} MiB"
