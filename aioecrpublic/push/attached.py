"""What is attached to an image, such as signatures, attestations and SBOMs, pushed after it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import ImageError, ImageSource
from aioecrpublic.images.source import SourceLifecycle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aioecrpublic.images import Blob, Descriptor
    from aioecrpublic.push.result import PushResult

MAX_ATTACHED = 1000
"""Signatures, attestations and the like of one image; more is a registry that answers without end."""


@runtime_checkable
class Attachable(ImageSource, Protocol):
    """A source that knows what is attached to its manifests, as those of this package do."""

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests that refer to ``digest`` as their subject."""
        ...

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under tags made of its digest, by tag."""
        ...


@attrs.frozen
class Pushed:
    """One push that is done.

    Attributes:
        result: What it took.
        manifests: The digests of all manifests of what was pushed.
    """

    result: PushResult
    manifests: tuple[str, ...]


def as_attachable(source: ImageSource) -> Attachable:
    """The source, if it can be asked what is attached to its image.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(source, Attachable):
        raise ConfigurationError(f"referrers of {source.name}: {type(source).__name__} cannot list them")
    return source


async def push_attached(
    source: Attachable, image: Pushed, push: Callable[[ImageSource, Sequence[str]], Awaitable[Pushed]]
) -> PushResult:
    """Push what is attached to the manifests of an image, and what is attached to that, and so on.

    Args:
        source: Where the image and all the rest is.
        image: The image's own push.
        push: Pushes a single manifest under some tags.

    Returns:
        The image's result, with the counts and the time of everything together.

    Raises:
        ImageError: There are too many.
    """
    result, waiting = image.result, deque(image.manifests)
    asked: set[str] = set()
    count = 0
    while waiting:
        digest = waiting.popleft()
        if digest in asked:
            continue
        asked.add(digest)
        for descriptor, tags in await _attached_to(source, digest):
            count += 1
            if count > MAX_ATTACHED:
                raise ImageError(f"{source.name}: more than {MAX_ATTACHED} manifests are attached to it")
            pushed = await push(_Attached(source, descriptor), tags)
            result = _sum(result, pushed.result)
            waiting.extend(pushed.manifests)
    return result


async def _attached_to(source: Attachable, digest: str) -> list[tuple[Descriptor, list[str]]]:
    attached: list[tuple[Descriptor, list[str]]] = [
        (descriptor, []) for descriptor in await source.referrers(digest)
    ]
    attached += [(descriptor, [tag]) for tag, descriptor in (await source.cosign_tags(digest)).items()]
    return attached


def _sum(image: PushResult, attached: PushResult) -> PushResult:
    counts = ("layers_uploaded", "layers_skipped", "bytes_uploaded", "bytes_skipped", "elapsed", "retries")
    return attrs.evolve(image, **{name: getattr(image, name) + getattr(attached, name) for name in counts})


class _Attached(SourceLifecycle):
    """A manifest beside an image as a source of its own; the image's source stays open."""

    def __init__(self, image: Attachable, root: Descriptor) -> None:
        self._image = image
        self._root = root

    @property
    def name(self) -> str:
        return f"{self._image.name}: attached {self._root.digest}"

    async def open(self) -> Descriptor:
        await self._image.open()
        return self._root

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        return await self._image.read_manifest(descriptor)

    async def open_blob(self, descriptor: Descriptor) -> Blob:
        return await self._image.open_blob(descriptor)

    async def check_blob(self, descriptor: Descriptor) -> None:
        await self._image.check_blob(descriptor)

    async def close(self) -> None:
        """Leave the image's source open: it belongs to the push."""
