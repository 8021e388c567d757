"""Image configs: what they say of an image's platform and of its layers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import IMAGE_CONFIGS
from aioecrpublic.images import jsondoc
from aioecrpublic.images.descriptor import parse_platform
from aioecrpublic.images.digest import verify
from aioecrpublic.images.errors import ImageError

if TYPE_CHECKING:
    from aioecrpublic.images.descriptor import Descriptor, Platform
    from aioecrpublic.images.manifest import Manifest
    from aioecrpublic.images.source import BlobReader, ImageSource

MAX_CONFIG_SIZE = 8 * 1024 * 1024
"""Bytes of an image config, which is read into memory."""

_IMAGE_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


@attrs.frozen(kw_only=True)
class ImageConfig:
    """What an image config says."""

    raw: bytes = attrs.field(repr=False)
    platform: Platform | None
    layers: int | None
    """Layers that ``rootfs.diff_ids`` lists; None if there is no ``rootfs``."""


def is_image_config(config: Descriptor) -> bool:
    """Tell whether a config is one of an image that runs, and has something in it."""
    return config.media_type in IMAGE_CONFIGS and config.size > 0


async def read_config(source: ImageSource, descriptor: Descriptor) -> ImageConfig:
    """Read an image config.

    Raises:
        ImageError: It is missing, too large, malformed, or not what the descriptor says.
    """
    where = f"{source.name}: config {descriptor.digest}"
    if descriptor.size > MAX_CONFIG_SIZE:
        raise ImageError(f"{where} has {descriptor.size} bytes, more than {MAX_CONFIG_SIZE}")
    blob = await source.open_blob(descriptor)
    try:
        content = await blob.read(0, descriptor.size)
        return await asyncio.to_thread(_parse, content, descriptor, where)
    finally:
        await blob.close()


def check_layers(manifest: Manifest, config: ImageConfig, where: str) -> None:
    """Check that a manifest has as many layers as its config lists; no engine unpacks any other image.

    Artifacts that only carry an image config are let through: none of their layers is one of an image.

    Raises:
        ImageError: The numbers differ.
    """
    layers = manifest.layers
    if layers and not any(layer.media_type.startswith(_IMAGE_LAYERS) for layer in layers):
        return
    if config.layers is not None and config.layers != len(layers):
        raise ImageError(
            f"{where}: lists {len(layers)} layers, but its config lists {config.layers} in rootfs.diff_ids; "
            "the image is incomplete"
        )


def _parse(content: bytes | BlobReader, descriptor: Descriptor, where: str) -> ImageConfig:
    raw = content if isinstance(content, bytes) else content.read_at(0, descriptor.size)
    verify(raw, descriptor.digest, where)
    document = jsondoc.parse_object(raw, where)
    rootfs = jsondoc.sub_object(document, "rootfs", where)
    return ImageConfig(
        raw=raw,
        platform=parse_platform(document, where),
        layers=None if rootfs is None else len(jsondoc.items(rootfs, "diff_ids", f"{where}: rootfs")),
    )
