"""Content digests: `sha256:` or `sha512:` and exactly the right number of lowercase hexadecimal digits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from aioecrpublic._common.oci import DIGEST
from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from hashlib import _Hash

    from aioecrpublic.images.jsondoc import JSON


def is_digest(value: str) -> bool:
    """Tell whether `value` is a well-formed digest of a supported algorithm."""
    return DIGEST.fullmatch(value) is not None


def check_digest(value: JSON, where: str) -> str:
    """Return `value` if it is a well-formed digest; a digest becomes a path, so nothing else may pass.

    Raises:
        ImageError: it is anything else.
    """
    if isinstance(value, str) and is_digest(value):
        return value
    raise ImageError(
        f"{where}: {shown(value)} is no digest (sha256: with 64 or sha512: with 128 lowercase hex digits)"
    )


def new_hash(digest: str) -> _Hash:
    """Return a fresh hash of the algorithm of `digest`, a well-formed digest."""
    return hashlib.new(digest.partition(":")[0], usedforsecurity=False)


def sha256_digest(data: bytes) -> str:
    """Return the sha256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def verify(data: bytes, digest: str, where: str) -> None:
    """Check that `data` has the digest.

    Raises:
        ImageError: it has another one.
    """
    hashed = new_hash(digest)
    hashed.update(data)
    verify_hash(hashed, digest, where)


def verify_hash(hashed: _Hash, digest: str, where: str) -> None:
    """Check a finished hash against `digest`.

    Raises:
        ImageError: they differ.
    """
    actual = f"{digest.partition(':')[0]}:{hashed.hexdigest()}"
    if actual != digest:
        raise ImageError(f"{where}: the content has the digest {actual}, not {digest}")
