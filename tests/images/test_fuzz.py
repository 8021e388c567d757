"""Damaged and hostile images: whatever is wrong with them, what comes out is an image or an `ImageError`.

Each test takes a thousand examples, always the same ones; a soak takes a hundred times as many, others each
time.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import lzma
import tarfile
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import DockerArchive, ImageError, OCIArchive, OCILayout, load_image, open_image
from tests.images.helpers import read_blob
from tests.support.oci import (
    JSON,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    LayoutBuilder,
    digest_of,
    encode,
    random_layer,
    tar_bytes,
    tar_layer,
    write_index,
)
from tests.support.soak import FUZZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aioecrpublic.images import ImageSource

Files = dict[str, bytes]

SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a disk is slow

HOSTILE: list[JSON] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    2**200,
    0.5,
    1e300,
    "",
    "12",
    "..",
    "\x00",
    "\ud800",
    "x" * 10_000,
    "sha256:",
    "sha256:../../../etc/passwd",
    "sha256:" + "0" * 64,
    "sha512:" + "0" * 128,
    digest_of(b""),
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    OCI_LAYER_GZIP,
    [],
    {},
    [[[[]]]],
    ["x"] * 20,
    {"digest": digest_of(b"{}"), "size": 2, "mediaType": "a/b"},
    {"os": "linux", "architecture": "amd64"},
    {"a": {"b": [{}]}},
]
RAW = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 5000,
]


def files_below(directory: Path) -> Files:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@cache
def layouts() -> list[Files]:
    """Return good layouts of several shapes, as the files in them."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_index(directory / "a", attestations=True, layer_size=100)
        write_index(directory / "b", docker=True, layer_size=100)
        builder = LayoutBuilder(directory / "c")
        image = builder.tag(builder.image([random_layer(50)]), "1.0")
        builder.tag(builder.artifact(image, b"sbom", "a/b"), image.digest.replace(":", "-"))
        builder.tag(builder.index([builder.index([image])]), "nested")
        return [files_below(directory / which) for which in "abc"]


@cache
def docker_archives() -> list[Files]:
    """Return good docker-archives of the older form."""
    layers = [tar_bytes({f"f{n}": b"data"}) for n in range(2)]
    config = encode({"os": "linux", "rootfs": {"diff_ids": [digest_of(layer) for layer in layers]}})
    manifest = encode(
        [{"Config": "config", "RepoTags": ["app:1.0"], "Layers": ["0/layer.tar", "1/layer.tar"]}]
    )
    plain = {
        "manifest.json": manifest,
        "config": config,
        "0/layer.tar": layers[0],
        "1/layer.tar": layers[1],
    }
    return [
        plain,
        {**plain, "0/layer.tar": gzip.compress(layers[0], mtime=0)},
        {**plain, "1/layer.tar": zstd.compress(layers[1])},
        {**plain, "0/layer.tar": tar_layer({"f": b"x"}).data},
    ]


@cache
def docker_saves() -> list[Files]:
    """Return good docker-archives of the newer form: layouts of uncompressed layers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        layers = [tar_layer({f"f{n}": b"data" * n}, OCI_LAYER) for n in range(3)]
        builder = LayoutBuilder(directory / "a")
        builder.tag(builder.image([*layers, layers[0]]), "1.0")
        builder = LayoutBuilder(directory / "b")
        images = [
            builder.image([layers[0], layers[n]], platform=f"linux/{name}")
            for n, name in enumerate(("amd64", "arm64"))
        ]
        builder.tag(builder.index([*images, builder.attestation(images[0])]), "1.0")
        manifest = encode([{"Config": "x", "RepoTags": ["app:1.0"], "Layers": []}])
        return [{**files_below(directory / which), "manifest.json": manifest} for which in "ab"]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a document with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def parsed(raw: bytes) -> Any:
    """Return a JSON document, an empty one if it is none by now."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, dict | list) and raw.count(b"[") + raw.count(b"{") < 500:
        return document
    return {}


def change_document(draw: st.DrawFn, raw: bytes) -> bytes:
    """Change one thing in a JSON document."""
    document = parsed(raw)
    found = list(places(document))
    if not found:
        return draw(st.sampled_from(RAW))
    container, key = draw(st.sampled_from(found))
    match draw(st.sampled_from(["replace", "replace", "delete", "copy", "wrap", "raw", "repeat"])):
        case "replace":
            container[key] = draw(st.sampled_from(HOSTILE))
        case "delete":
            del container[key]
        case "copy":
            other, other_key = draw(st.sampled_from(found))
            container[key] = json.loads(json.dumps(other[other_key]))
        case "wrap":
            container[key] = [container[key]]
        case "repeat" if isinstance(container, list):
            container.extend([container[key]] * 3)
        case _:
            return draw(st.sampled_from(RAW))
    return json.dumps(document).encode()


def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Change bytes without regard to what they mean."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        if changed:
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 3)) == 0:
        del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed)


def reseal(files: Files, path: str, data: bytes, depth: int = 8) -> None:
    """Replace a blob by another, and every mention of its digest and size by the right ones.

    The depth ends circles, which there can be since content may be under a wrong name.
    """
    old, new = f"sha256:{path.rpartition('/')[2]}", digest_of(data)
    files.pop(path, None)
    files[f"blobs/sha256/{new[7:]}"] = data
    for parent, raw in list(files.items()):
        if old.encode() not in raw or not raw.startswith(b"{"):
            continue
        document = parsed(raw)
        for container, key in list(places(document)):
            if key == "digest" and container[key] == old:
                container["digest"] = new
                container["size"] = len(data)
        if parent.startswith("blobs/") and depth:
            reseal(files, parent, json.dumps(document).encode(), depth - 1)
        else:
            files[parent] = json.dumps(document).encode()


@st.composite
def bad_layouts(draw: st.DrawFn, good: Callable[[], list[Files]] = layouts) -> Files:
    files = dict(draw(st.sampled_from(good())))
    for _ in range(draw(st.integers(1, 3))):
        blobs = [path for path in sorted(files) if path.startswith("blobs/")]
        path = draw(st.sampled_from([*blobs * 3, *sorted(files)]))
        is_json = files[path].startswith(b"{")
        # Without new digests, all damage below index.json looks the same: sealing is what goes deep.
        match draw(st.sampled_from(["document", *["sealed"] * 6, "bytes", "drop", "swap"])):
            case "document" if is_json:
                files[path] = change_document(draw, files[path])
            case "sealed" if is_json and path.startswith("blobs/"):
                reseal(files, path, change_document(draw, files[path]))
            case "drop" if len(files) > 1:
                del files[path]
            case "swap":
                files[path] = files[draw(st.sampled_from(sorted(files)))]
            case _:
                files[path] = damage(draw, files[path])
    return files


@st.composite
def bad_docker_archives(draw: st.DrawFn) -> Files:
    files = dict(draw(st.sampled_from(docker_archives())))
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(sorted(files)))
        if path in {"config", "manifest.json"} and draw(st.integers(0, 3)):
            files[path] = change_document(draw, files[path])
        elif len(files) > 1 and draw(st.integers(0, 5)) == 0:
            del files[path]
        else:
            files[path] = damage(draw, files[path])
    return files


def as_directory(files: Files) -> Files:
    """Return a layout's image as skopeo would write it for ``dir:``, as far as there is one."""
    found: Files = {"version": b"Directory Transport Version: 1.1\n"}
    for path, data in files.items():
        name = path.rpartition("/")[2]
        if path.startswith("blobs/") and name.encode() in files.get("index.json", b""):
            found["manifest.json"] = data
        elif path.startswith("blobs/"):
            found[f"{name}.manifest.json" if b'"schemaVersion"' in data else name] = data
    return found


PACKERS: list[Callable[[bytes], bytes]] = [
    *[bytes] * 4,
    gzip.compress,
    lambda data: gzip.compress(data[:700]) + bytes(100) + gzip.compress(data[700:]),
    zstd.compress,
    lambda data: b"\x5a\x2a\x4d\x18\3\0\0\0xyz" + zstd.compress(data),
    lambda data: lzma.compress(data, preset=0),
    bz2.compress,
]


@st.composite
def tars(draw: st.DrawFn, files: Files) -> bytes:
    """Write files into a tar, perhaps with odd members, perhaps compressed, perhaps damaged after that."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=draw(st.sampled_from([0, 1, 2]))) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(
                draw(st.sampled_from([name] * 150 + ["./" + name, "/" + name, "../" + name]))
            )
            info.size = len(data)
            if draw(st.integers(0, 39)) == 0:
                info.type = draw(
                    st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, b"S", b"Z"])
                )
                info.linkname = draw(st.sampled_from(["/etc/passwd", "../x", name, *files]))
            archive.addfile(info, io.BytesIO(data))
            if draw(st.integers(0, 59)) == 0:
                archive.addfile(info, io.BytesIO(draw(st.sampled_from([data, bytes(len(data))]))))
    data = buffer.getvalue()
    if draw(st.integers(0, 3)) == 0:
        data = damage(draw, data)
    data = draw(st.sampled_from(PACKERS))(data)
    return damage(draw, data) if draw(st.integers(0, 4)) == 0 else data


async def use(source: ImageSource, platforms: list[str] | None) -> None:
    """Do with an image all that can be done, and accept nothing but success and `ImageError`."""
    async with source:
        root = await source.open()
        if isinstance(source, OCILayout | OCIArchive | DockerArchive):
            with suppress(ImageError):
                await source.referrers(root.digest)
        graph = await load_image(source, platforms=platforms)
        assert graph.root is graph.manifests[-1]
        for node in graph.manifests:
            assert digest_of(node.raw) == node.descriptor.digest or node.descriptor.digest.startswith(
                "sha512"
            )
        for blob in graph.blobs:
            assert len(await read_blob(source, blob, 10_000)) == blob.size > 0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples, with its threads."""
    with asyncio.Runner() as runner:
        yield runner


def check(runner: asyncio.Runner, source: ImageSource, platforms: list[str] | None) -> None:
    try:
        runner.run(use(source, platforms))
    except ImageError as error:
        message = str(error)
    else:
        return
    message.encode()
    assert message
    assert "\n" not in message
    assert len(message) < 1500


PLATFORMS = st.sampled_from([None, None, ["linux/amd64"], ["linux/amd64", "linux/arm64"]])
REFERENCES = st.sampled_from(["1.0", "1.0", "1.0", "nested", None])


def write(files: Files, directory: str) -> None:
    for path, data in files.items():
        target = Path(directory) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


@pytest.mark.slow
@FUZZ
@given(bad_layouts(), REFERENCES, PLATFORMS)
def test_layouts(
    runner: asyncio.Runner, files: Files, reference: str | None, platforms: list[str] | None
) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        write(files, name)
        check(runner, OCILayout(name, reference), platforms)


@pytest.mark.slow
@FUZZ
@given(bad_layouts(), PLATFORMS, st.booleans())
def test_directories(
    runner: asyncio.Runner, files: Files, platforms: list[str] | None, version: object
) -> None:
    found = as_directory(files)
    if not version:
        del found["version"]
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        write(found, name)
        check(runner, open_image(Path(name)), platforms)


@pytest.mark.slow
@FUZZ
@given(st.data(), REFERENCES, PLATFORMS)
def test_oci_archives(
    runner: asyncio.Runner, data: st.DataObject, reference: str | None, platforms: list[str] | None
) -> None:
    archive = data.draw(tars(data.draw(bad_layouts())))
    with tempfile.NamedTemporaryFile(buffering=0, dir=SCRATCH) as file:
        file.write(archive)
        check(runner, OCIArchive(file.name, reference), platforms)


@pytest.mark.slow
@FUZZ
@given(st.data(), st.sampled_from([None, None, "app:1.0", "x"]), PLATFORMS)
def test_docker_archives(
    runner: asyncio.Runner, data: st.DataObject, reference: str | None, platforms: list[str] | None
) -> None:
    archive = data.draw(tars(data.draw(bad_docker_archives())))
    with tempfile.NamedTemporaryFile(buffering=0, dir=SCRATCH) as file:
        file.write(archive)
        check(runner, DockerArchive(file.name, reference), platforms)


@pytest.mark.slow
@FUZZ
@given(st.data(), st.sampled_from([None, "1.0"]), PLATFORMS)
def test_what_docker_saves(
    runner: asyncio.Runner, data: st.DataObject, reference: str | None, platforms: list[str] | None
) -> None:
    archive = data.draw(tars(data.draw(bad_layouts(docker_saves))))
    with tempfile.NamedTemporaryFile(buffering=0, dir=SCRATCH) as file:
        file.write(archive)
        path = file.name if reference is None else f"{file.name}:{reference}"
        check(runner, open_image(path, compress=data.draw(st.sampled_from([None, True, False]))), platforms)


def test_the_undamaged_ones_are_good() -> None:
    """Without this, the tests above could pass by refusing everything."""
    for files in layouts():
        with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
            write(files, name)
            asyncio.run(use(OCILayout(name, "1.0"), None))
    for files in layouts()[:2]:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
            write(as_directory(files), name)
            asyncio.run(use(open_image(Path(name)), None))
    for files in (*docker_archives()[:3], *docker_saves()):
        with (
            tempfile.NamedTemporaryFile(buffering=0, dir=SCRATCH) as file,
            tarfile.open(file.name, "w") as archive,
        ):
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            archive.close()
            asyncio.run(use(DockerArchive(file.name), None))
