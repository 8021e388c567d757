"""A real image out of files of this machine: Python's standard library and this package's dependencies."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import platform
import sysconfig
import tarfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from packaging.requirements import Requirement

from aioecrpublic._common.oci import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LEVEL = 5


@attrs.frozen
class _Files:
    """The files of one layer, and what its history says about it."""

    title: str
    prefix: str
    root: Path
    paths: tuple[Path, ...]


def build_sample(directory: Path, given_up: threading.Event | None = None) -> None:
    """Write the image as an OCI layout into the empty ``directory``; blocks for some seconds.

    Args:
        directory: The directory.
        given_up: Set by another thread to end it before the next layer.
    """
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = []
    for files in _layers():
        if given_up is not None and given_up.is_set():
            return
        if files.paths:
            layers.append((files, *_write_layer(blobs, files)))
    config = _write_json(blobs, _config(layers))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, **config},
        "layers": [layer for _, layer, _ in layers],
    }
    described = {"mediaType": OCI_MANIFEST, **_write_json(blobs, manifest)}
    described["annotations"] = {"org.opencontainers.image.ref.name": "demo"}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _layers() -> Iterator[_Files]:
    root = Path(sysconfig.get_path("stdlib"))
    version = f"usr/lib/python{sysconfig.get_python_version()}"
    skipped = {"__pycache__", "site-packages", "test", "tests", "dist-packages"}
    found = [path for path in sorted(root.rglob("*")) if path.is_file() and not skipped & set(path.parts)]
    libraries = [path for path in found if path.suffix == ".so" or "config-" in str(path)]
    rest = [path for path in found if path not in set(libraries)]
    yield _Files("Python's standard library, modules", version, root, _only(rest, root, nested=False))
    yield _Files("Python's standard library, packages", version, root, _only(rest, root, nested=True))
    yield _Files("Python's standard library, compiled", version, root, tuple(libraries))
    for name in _dependencies("aioecrpublic"):
        distribution = metadata.distribution(name)
        base = Path(str(distribution.locate_file("")))
        paths = sorted(
            path
            for path in (base / str(file) for file in distribution.files or ())
            if path.is_file() and base in path.parents and "__pycache__" not in path.parts
        )
        title = f"{name} {distribution.version}"
        yield _Files(title, f"{version}/site-packages", base, tuple(paths))


def _only(paths: Iterable[Path], root: Path, *, nested: bool) -> tuple[Path, ...]:
    return tuple(path for path in paths if (path.parent != root) == nested)


def _dependencies(name: str) -> list[str]:
    """The installed distributions that ``name`` needs, directly or not, extras left out."""
    found: list[str] = []
    todo = [name]
    while todo:
        for line in metadata.requires(todo.pop()) or ():
            requirement = Requirement(line)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and requirement.name not in found:
                found.append(requirement.name)
                todo.append(requirement.name)
    return sorted(found)


def _write_layer(blobs: Path, files: _Files) -> tuple[dict[str, Any], str]:
    """Write a gzip layer with nothing in it that changes from run to run; its descriptor and diff_id."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files.paths:
            info = tarfile.TarInfo(f"{files.prefix}/{path.relative_to(files.root).as_posix()}")
            data = path.read_bytes()
            info.size, info.mode = len(data), 0o755 if path.suffix == ".so" else 0o644
            archive.addfile(info, io.BytesIO(data))
    plain = tar.getvalue()
    diff_id = f"sha256:{hashlib.sha256(plain).hexdigest()}"
    descriptor = {"mediaType": OCI_LAYER_GZIP, **_write(blobs, gzip.compress(plain, _LEVEL, mtime=0))}
    return descriptor, diff_id


def _config(layers: list[tuple[_Files, dict[str, Any], str]]) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {
        "created": now,
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, _, diff_id in layers]},
        "history": [{"created": now, "created_by": files.title} for files, _, _ in layers],
    }


def _write_json(blobs: Path, document: dict[str, Any]) -> dict[str, Any]:
    return _write(blobs, json.dumps(document, separators=(",", ":")).encode())


def _write(blobs: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
