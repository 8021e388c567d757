"""What a push takes of memory, in a process of its own, to a service in another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.benchmarks.cases import MIB, Case
from tests.benchmarks.contestants import OURS, find
from tests.benchmarks.job import Job
from tests.benchmarks.samples import take
from tests.benchmarks.sink import Sink
from tests.support.oci import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, LayoutBuilder, encode, random_bytes

if TYPE_CHECKING:
    from pathlib import Path

# What two equal pushes differ by, and nothing that grows with a layer.
TOLERANCE_MIB = 4
# The design's bound for a push from a file.
MOST_MIB = 16


def test_a_layer_of_3_gib_takes_the_memory_of_one_of_300_mib(tmp_path: Path) -> None:
    with Sink() as sink:
        small, large = (_peak_mib(tmp_path / f"of-{size}", size, sink) for size in (300 * MIB, 3072 * MIB))
    assert large <= small + TOLERANCE_MIB
    assert large <= MOST_MIB


def _peak_mib(directory: Path, size: int, sink: Sink) -> float:
    """MiB above idle that the push of one layer takes; the sink has counted every byte of it."""
    _write_mostly_holes(directory, size)
    job = Job(endpoint_url=sink.endpoint_url, layout=str(directory))
    return take(find(OURS), Case(layers=1, layer_size=size), job, sink).peak_mib


def _write_mostly_holes(directory: Path, size: int) -> None:
    """A layout with one layer of `size` bytes that takes next to no room on the disk."""
    builder = LayoutBuilder(directory)
    path = directory / "layer"
    with path.open("w+b") as file:
        for number in range(10):
            file.seek(number * (size // 10))
            file.write(random_bytes(4096, number))
        file.truncate(size)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path.rename(directory / "blobs" / "sha256" / digest)
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": builder.descriptor(b"{}", OCI_CONFIG),
            "layers": [{"mediaType": OCI_LAYER, "digest": f"sha256:{digest}", "size": size}],
        }
    )
    entry = builder.descriptor(manifest, OCI_MANIFEST)
    (directory / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [entry]}))
