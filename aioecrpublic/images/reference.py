"""Names of images as people and tools write them."""

from __future__ import annotations

_DEFAULT_HOST = "docker.io"


def familiar_name(reference: str) -> str:
    """Return the full form of a Docker image name: `app:1` is `docker.io/library/app:1`.

    A name without a tag or digest gets `latest`, as in Docker.
    """
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = _DEFAULT_HOST, name
    if first == _DEFAULT_HOST and "/" not in rest:
        rest = f"library/{rest}"
    full = f"{first}/{rest}"
    if at:
        return f"{full}@{digest}"
    return full if ":" in rest.rpartition("/")[2] else f"{full}:latest"
