"""Descriptors, which point at content, and the platforms that images are for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.oci import NONDISTRIBUTABLE
from aioecrpublic.images import jsondoc
from aioecrpublic.images.digest import check_digest
from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic.images.jsondoc import JSON, JSONObject

_MAX_SIZE = 2**63 - 1
_MEDIA_TYPE = re.compile(r"[!-~]{1,255}")
# `windows(10.0.20348.2227+win32k)/amd64` as containerd writes it (platforms.go, "Platform Specifiers"), and
# `windows/amd64:10.0.20348.2227` as crane does.
_VERSION = r"[a-z0-9_.-]+"
_PLATFORM = re.compile(
    rf"(?P<os>[^/()]+)(?:\((?P<version>{_VERSION})?(?P<features>(?:\+{_VERSION})*)\))?"
    rf"/(?P<architecture>[^/:]+)(?:/(?P<variant>[^/:]+))?(?::(?P<suffix>{_VERSION}))?"
)
# What Docker and containerd call the same architecture.
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
# The variant that is meant when none is given (containerd, platforms/database.go).
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Platform:
    """What an image runs on, in the words of the OCI image index: `linux/arm64/v8`.

    With a version or features of the operating system it is written as containerd writes it:
    `windows(10.0.20348.2227+win32k)/amd64`.
    """

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    """Of Windows images, such as `10.0.20348.2227`."""
    os_features: tuple[str, ...] = ()
    """What the operating system must have, such as `win32k`."""

    @classmethod
    def parse(cls, value: str) -> Platform:
        """Parse `os/architecture` or `os/architecture/variant`, in lower case or not.

        A version of the operating system and features that it must have come after its name, as in
        `windows(10.0.20348+win32k)/amd64`; a version alone may also come last: `windows/amd64:10.0.20348`.

        Raises:
            ImageError: it has another form.
        """
        found = _PLATFORM.fullmatch(value.lower())
        if found is None or (found["version"] and found["suffix"]):
            raise ImageError(
                f"platform {shown(value)}: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, "
                "where OS may be OS(VERSION)"
            )
        architecture = found["architecture"]
        return cls(
            os=found["os"],
            architecture=_ARCHITECTURES.get(architecture, architecture),
            variant=found["variant"],
            os_version=found["version"] or found["suffix"],
            os_features=tuple((found["features"] or "").split("+")[1:]),
        )

    def __str__(self) -> str:
        options = "+".join((self.os_version or "", *self.os_features))
        os = f"{self.os}({options})" if options else self.os
        return "/".join(part for part in (os, self.architecture, self.variant) if part)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is said, as in the `unknown/unknown` of attestations."""
        return _UNKNOWN in {self.os, self.architecture}

    def matches(self, image: Platform) -> bool:
        """Tell whether an image for `image` is what someone who asks for this platform wants.

        What is not asked for may be any. A variant that is asked for also matches an image that leaves it out
        where it is the default: `linux/arm64/v8` is `linux/arm64`. An OS version also matches those that it
        is the beginning of: `10.0.20348` is `10.0.20348.2227`, the same version of Windows with its updates.
        """
        if (self.os, self.architecture) != (image.os, image.architecture):
            return False
        if self.os_version and not f"{image.os_version or ''}.".startswith(f"{self.os_version}."):
            return False
        if not set(self.os_features) <= {feature.lower() for feature in image.os_features}:
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
        """Whether the content belongs into a registry, which its media type alone says."""
        return self.media_type not in NONDISTRIBUTABLE


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
        os_features=jsondoc.texts(members, "os.features", where),
    )


def _media_type(members: JSONObject, where: str) -> str:
    value = jsondoc.text(members, "mediaType", where)
    if value is None:
        raise ImageError(f"{where}: mediaType is missing")
    if _MEDIA_TYPE.fullmatch(value) is None:
        raise ImageError(f"{where}: mediaType {shown(value)} is no media type")
    return value
