"""Descriptors, which point at content, and the platforms that images are for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from aioecrpublic.images import jsondoc
from aioecrpublic.images.digest import check_digest
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.mediatypes import NONDISTRIBUTABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic.images.jsondoc import JSON, JSONObject

_MAX_SIZE = 2**63 - 1
_MEDIA_TYPE = re.compile(r"[!-~]{1,255}")
# What Docker and containerd call the same architecture.
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
# The variant that is meant when none is given (containerd, platforms/database.go).
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Platform:
    """What an image runs on, in the words of the OCI image index: `linux/arm64/v8`."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    """Of Windows images, such as `10.0.20348.2227`."""

    @classmethod
    def parse(cls, value: str) -> Platform:
        """Parse `os/architecture` or `os/architecture/variant`, in lower case or not.

        Raises:
            ImageError: it has another form.
        """
        match value.lower().split("/"):
            case [os, architecture] if os and architecture:
                variant = None
            case [os, architecture, variant] if os and architecture and variant:
                pass
            case _:
                raise ImageError(
                    f"platform {shown(value)}: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT"
                )
        return cls(os=os, architecture=_ARCHITECTURES.get(architecture, architecture), variant=variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is said, as in the `unknown/unknown` of attestations."""
        return _UNKNOWN in {self.os, self.architecture}

    def matches(self, image: Platform) -> bool:
        """Tell whether an image for `image` is what someone who asks for this platform wants.

        A variant or OS version that is not asked for may be any. One that is asked for also matches an image
        that leaves it out where it is the default: `linux/arm64/v8` is `linux/arm64`.
        """
        if (self.os, self.architecture) != (image.os, image.architecture):
            return False
        if self.os_version is not None and self.os_version != image.os_version:
            return False
        default = _DEFAULT_VARIANTS.get(self.architecture)
        return self.variant is None or self.variant == (image.variant or default)


@attrs.frozen(kw_only=True)
class Descriptor:
    """A pointer to content: what it is, its digest and its size (OCI image specification, descriptor.md)."""

    media_type: str
    digest: str
    size: int
    """Bytes."""
    platform: Platform | None = None
    annotations: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    urls: tuple[str, ...] = ()
    artifact_type: str | None = None

    @property
    def is_distributable(self) -> bool:
        """Whether the content belongs into a registry; not so for layers that are fetched from elsewhere."""
        return not self.urls and self.media_type not in NONDISTRIBUTABLE


def parse_descriptor(value: JSON, where: str) -> Descriptor:
    """Check a descriptor and return it.

    Args:
        value: the parsed JSON.
        where: the document and field, for messages.

    Raises:
        ImageError: a member is missing, of the wrong type or out of range.
    """
    members = jsondoc.as_object(value, where)
    size = jsondoc.integer(members, "size", where)
    if not 0 <= size <= _MAX_SIZE:
        raise ImageError(f"{where}: size is {'negative' if size < 0 else 'larger than 2^63 - 1'}")
    return Descriptor(
        media_type=_media_type(members, where),
        digest=check_digest(members.get("digest"), f"{where}: digest"),
        size=size,
        platform=parse_platform(jsondoc.sub_object(members, "platform", where), f"{where}: platform"),
        annotations=jsondoc.text_map(members, "annotations", where),
        urls=jsondoc.texts(members, "urls", where),
        artifact_type=jsondoc.text(members, "artifactType", where),
    )


def parse_platform(members: JSONObject | None, where: str) -> Platform | None:
    """Return the platform that an index entry or an image config states, None if it states nothing."""
    if members is None:
        return None
    return Platform(
        os=jsondoc.text(members, "os", where) or _UNKNOWN,
        architecture=jsondoc.text(members, "architecture", where) or _UNKNOWN,
        variant=jsondoc.text(members, "variant", where) or None,
        os_version=jsondoc.text(members, "os.version", where) or None,
    )


def _media_type(members: JSONObject, where: str) -> str:
    value = jsondoc.text(members, "mediaType", where)
    if value is None:
        raise ImageError(f"{where}: mediaType is missing")
    if _MEDIA_TYPE.fullmatch(value) is None:
        raise ImageError(f"{where}: mediaType {shown(value)} is no media type")
    return value
