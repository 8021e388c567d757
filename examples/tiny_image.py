"""Write a tiny container image as an OCI layout: ``python tiny_image.py [DIRECTORY]``.

The other examples push what this makes. An image is nothing but JSON and archives of files, each named by its
digest; no container engine takes part.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image"


def write_image(directory: Path, *texts: str) -> str:
    """Write an image with a layer for each of ``texts`` into ``directory``, as its ``1.0``.

    Returns:
        The digest of its manifest.
    """
    return write_layers(directory, [text.encode() for text in texts])


def write_layers(directory: Path, contents: Iterable[bytes]) -> str:
    """The same of bytes; each layer is an archive of one file."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def add(media_type: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    tars = [_tar("content", content) for content in contents]
    diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": add(f"{OCI}.config.v1+json", json.dumps(config).encode()),
        "layers": [add(f"{OCI}.layer.v1.tar+gzip", gzip.compress(tar, 1, mtime=0)) for tar in tars],
    }
    root = add(f"{OCI}.manifest.v1+json", json.dumps(manifest).encode())
    root["annotations"] = {"org.opencontainers.image.ref.name": "1.0"}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [root]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(root["digest"])


def _tar(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def main() -> None:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "tiny-image")
    digest = write_image(directory, "hello, registry\n", "goodbye, registry\n")
    print(f"{digest} is in {directory}; to push it:")
    print(f"aioecrpublic push oci:{directory} team/greeting:1.0 --create")


if __name__ == "__main__":
    main()
