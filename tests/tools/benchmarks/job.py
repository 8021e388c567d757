"""What a child process is told to do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs

REPOSITORY = "team/app"
TAG = "1.0"
JOBS = 4
ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@attrs.frozen(kw_only=True)
class Job:
    """Push an OCI layout to an endpoint.

    Attributes:
        endpoint_url: Where to.
        layout: The layout's directory.
        authority: The certificate authority to trust, where the endpoint speaks TLS.
    """

    endpoint_url: str
    layout: str
    authority: str | None = None


@attrs.frozen
class StoredBlob:
    """A layer or config, as a file."""

    digest: str
    size: int
    path: Path


@attrs.frozen
class StoredImage:
    """The one image in a layout, for those who cannot read layouts themselves."""

    manifest: str
    media_type: str
    digest: str
    blobs: tuple[StoredBlob, ...]

    @property
    def batches(self) -> list[list[str]]:
        """The digests of the blobs, as many at a time as the service takes."""
        digests = [blob.digest for blob in self.blobs]
        return [digests[start : start + 100] for start in range(0, len(digests), 100)]


def read_layout(directory: str) -> StoredImage:
    """The image in the layout."""
    root = Path(directory)
    (entry,) = json.loads((root / "index.json").read_bytes())["manifests"]
    raw = _path(root, entry["digest"]).read_bytes()
    if entry["digest"] != f"sha256:{hashlib.sha256(raw).hexdigest()}":
        raise ValueError(f"{entry['digest']} is damaged")
    manifest: dict[str, Any] = json.loads(raw)
    blobs = tuple(
        StoredBlob(blob["digest"], blob["size"], _path(root, blob["digest"]))
        for blob in (manifest["config"], *manifest["layers"])
    )
    return StoredImage(raw.decode(), entry["mediaType"], entry["digest"], blobs)


def _path(root: Path, digest: str) -> Path:
    return root / "blobs" / digest.replace(":", "/")
