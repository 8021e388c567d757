"""Image manifests and indexes: what their bytes say, checked, and never written again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import IMAGE_MANIFESTS, INDEXES, SCHEMA_1
from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import parse_descriptor
from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.jsondoc import JSONObject

MAX_MANIFEST_SIZE = 4 * 1024 * 1024
"""Bytes; what ECR Public takes in PutImage, and the limit the OCI distribution specification suggests."""

MAX_ENTRIES = 10_000
"""Layers of one image manifest, or manifests of one index."""

ATTESTATION_OF = "vnd.docker.reference.digest"
"""The annotation by which BuildKit's attestation manifests name the image manifest they are about."""

_SCHEMA_VERSION = 2


@attrs.frozen(kw_only=True)
class Manifest:
    """One parsed manifest.

    `config` and `layers` are those of an image manifest, `manifests` those of an index; the other
    side is None or empty.
    """

    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: dict[str, str]
    document: JSONObject = attrs.field(repr=False)
    """The JSON as parsed, for members that have no meaning here."""


def check_manifest_type(descriptor: Descriptor, where: str) -> None:
    """Check that a descriptor points at a kind of manifest that can be read here and stored there.

    Raises:
        ImageError: it is a schema 1 manifest, or no manifest at all.
    """
    if descriptor.media_type in SCHEMA_1:
        raise ImageError(
            f"{where}: a Docker schema 1 manifest ({descriptor.media_type}), which is not supported; "
            "rebuild the image, or pull and push it with a current tool"
        )
    if descriptor.media_type not in INDEXES | IMAGE_MANIFESTS:
        raise ImageError(
            f"{where}: the media type {shown(descriptor.media_type)} is no image manifest and no index"
        )


def parse_manifest(raw: bytes, descriptor: Descriptor, where: str) -> Manifest:
    """Parse an image manifest or index.

    The media type is the descriptor's if the document states none, as umoci's do not.

    Args:
        raw: the exact bytes, whose size and digest were checked.
        descriptor: what pointed at them.
        where: the source and digest, for messages.

    Raises:
        ImageError: it is malformed, contradicts its descriptor, or is neither of the two.
    """
    check_manifest_type(descriptor, where)
    document = jsondoc.parse_object(raw, where)
    _check_schema(document, descriptor, where)
    subject = document.get("subject")
    is_index = descriptor.media_type in INDEXES
    _check_unambiguous(document, where, is_index=is_index)
    return Manifest(
        media_type=descriptor.media_type,
        config=None if is_index else parse_descriptor(document.get("config"), f"{where}: config"),
        layers=() if is_index else _descriptors(document, "layers", where),
        manifests=_descriptors(document, "manifests", where) if is_index else (),
        subject=None if subject is None else parse_descriptor(subject, f"{where}: subject"),
        artifact_type=jsondoc.text(document, "artifactType", where),
        annotations=jsondoc.text_map(document, "annotations", where),
        document=document,
    )


def parse_entries(document: JSONObject, where: str) -> tuple[Descriptor, ...]:
    """Return the entries of an index, such as a layout's `index.json`."""
    return _descriptors(document, "manifests", where)


def _descriptors(document: JSONObject, key: str, where: str) -> tuple[Descriptor, ...]:
    values = jsondoc.items(document, key, where)
    if len(values) > MAX_ENTRIES:
        raise ImageError(f"{where}: {len(values)} {key}, more than {MAX_ENTRIES}")
    return tuple(parse_descriptor(value, f"{where}: {key}[{number}]") for number, value in enumerate(values))


def _check_schema(document: JSONObject, descriptor: Descriptor, where: str) -> None:
    version = jsondoc.integer(document, "schemaVersion", where)
    if version == 1:
        raise ImageError(f"{where}: a Docker schema 1 manifest, which is not supported")
    if version != _SCHEMA_VERSION:
        raise ImageError(f"{where}: schemaVersion is not {_SCHEMA_VERSION}")
    stated = jsondoc.text(document, "mediaType", where)
    if stated is not None and stated != descriptor.media_type:
        raise ImageError(
            f"{where}: mediaType is {shown(stated)}, but its descriptor says {descriptor.media_type}"
        )


def _check_unambiguous(document: JSONObject, where: str, *, is_index: bool) -> None:
    # A document that can be read as either kind means different images to different clients
    # (OCI image specification, "Ambiguous media type"; CVE-2021-41190).
    foreign = ("config", "layers") if is_index else ("manifests",)
    for key in ("fsLayers", *foreign):
        if key in document:
            kind = "an index" if is_index else "an image manifest"
            raise ImageError(f"{where}: {kind} may not have the member {key}")
