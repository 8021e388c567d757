from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.cli.sample import build_sample
from aioecrpublic.images import OCILayout, load_image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
async def test_the_sample_is_a_valid_image_of_several_real_layers(tmp_path: Path) -> None:
    build_sample(tmp_path)
    async with OCILayout(tmp_path, "demo") as source:
        graph = await load_image(source)
    manifest = json.loads(graph.root.raw)
    config = json.loads((tmp_path / "blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes())
    diff_ids = []
    for layer in manifest["layers"]:
        plain = gzip.decompress((tmp_path / "blobs/sha256" / layer["digest"][7:]).read_bytes())
        diff_ids.append(f"sha256:{hashlib.sha256(plain).hexdigest()}")
    assert len(diff_ids) >= 5
    assert config["rootfs"]["diff_ids"] == diff_ids
    assert len(config["history"]) == len(diff_ids)
    assert sum(blob.size for blob in graph.blobs) > 10_000_000
