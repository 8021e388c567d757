"""What the registry has to know of a manifest: its kind, what it refers to, how large the image is."""

from __future__ import annotations

import json
from typing import Any, Final

import attrs

from aioecrpublic._common.oci import (
    DIGEST,
    IMAGE_MANIFESTS,
    INDEXES,
    NONDISTRIBUTABLE,
    OCI_INDEX,
    OCI_MANIFEST,
)
from aioecrpublic._generated.errors import InvalidParameterException

# A manifest of 4 MiB has fewer than 2**16 descriptors: the sum of their sizes is a 64-bit number.
_LARGEST_BLOB: Final = 2**46


@attrs.frozen(kw_only=True)
class ManifestFacts:
    """A manifest as the registry sees it.

    Attributes:
        media_type: Its media type.
        layers: Digests of the config and the layers that have to be there.
        children: Digests of the manifests that have to be there; of an index only.
        size: Bytes of the config and the layers, those that are elsewhere left out.
        artifact_media_type: What kind of artifact it is, if it says so.
        subject: The digest of the manifest that it is about, if any.
    """

    media_type: str
    layers: tuple[str, ...]
    children: tuple[str, ...]
    size: int
    artifact_media_type: str | None
    subject: str | None


def inspect(manifest: str, declared: str | None) -> ManifestFacts:
    """Read a manifest.

    Args:
        manifest: Its text.
        declared: The media type that the request gives it, if any.

    Raises:
        InvalidParameterException: It is not a manifest that the service takes.
    """
    document = _parse(manifest)
    media_type = _media_type(document, declared)
    if media_type in INDEXES:
        children = [_digest(child, "manifests") for child in _objects(document, "manifests")]
        return ManifestFacts(
            media_type=media_type,
            layers=(),
            children=tuple(dict.fromkeys(children)),
            size=0,
            artifact_media_type=_text(document, "artifactType"),
            subject=_subject(document),
        )
    config = document.get("config")
    if not isinstance(config, dict):
        raise _invalid("config is missing")
    layers = [layer for layer in _objects(document, "layers") if not _is_elsewhere(layer)]
    blobs = {_digest(blob, "layers"): _size(blob) for blob in (config, *layers)}
    return ManifestFacts(
        media_type=media_type,
        layers=tuple(blobs),
        children=(),
        size=sum(blobs.values()),
        artifact_media_type=_text(document, "artifactType") or _text(config, "mediaType"),
        subject=_subject(document),
    )


def _parse(manifest: str) -> dict[str, Any]:
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON syntax") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON syntax")
    if document.get("schemaVersion") != 2:  # noqa: PLR2004 - the only version that the service still takes
        raise _invalid("unsupported schemaVersion")
    return document


def _media_type(document: dict[str, Any], declared: str | None) -> str:
    own = _text(document, "mediaType")
    guessed = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    media_type = declared or own or guessed
    if media_type not in IMAGE_MANIFESTS | INDEXES:
        raise _invalid(f"unsupported media type {media_type!r}")
    if own is not None and own != media_type:
        raise _invalid(f"media type {media_type!r} differs from the manifest's own {own!r}")
    if (media_type in INDEXES) != ("manifests" in document):
        raise _invalid(f"media type {media_type!r} does not fit the manifest")
    return media_type


def _objects(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _invalid(f"{name} is not a list of descriptors")
    return found


def _digest(descriptor: dict[str, Any], where: str) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise _invalid(f"{where} has an invalid digest")
    return digest


def _size(descriptor: dict[str, Any]) -> int:
    size = descriptor.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_BLOB:
        raise _invalid("a descriptor has no valid size")
    return size


def _is_elsewhere(layer: dict[str, Any]) -> bool:
    """Say whether a layer need not be here: one that is not to be distributed and says where it is.

    Without a URL nobody could find it; docker-registry refuses it too.
    """
    return _text(layer, "mediaType") in NONDISTRIBUTABLE and bool(layer.get("urls"))


def _subject(document: dict[str, Any]) -> str | None:
    subject = document.get("subject")
    return _digest(subject, "subject") if isinstance(subject, dict) else None


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        return None
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _invalid(f"{name} has half of a surrogate pair")
    return value


def _invalid(reason: str) -> InvalidParameterException:
    return InvalidParameterException(
        f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{reason}'"
    )
