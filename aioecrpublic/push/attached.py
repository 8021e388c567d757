"""What is attached to an image, such as signatures, attestations and SBOMs, pushed after it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._runtime.errors import ConfigurationError, ServiceError, ValidationError
from aioecrpublic.images import ImageError, ImageSource
from aioecrpublic.images.source import SourceLifecycle, SupportsReferrers
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.result import ReferrerFailure
from aioecrpublic.push.tasks import StrayCancellationError, single_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from aioecrpublic.images import Blob, Descriptor
    from aioecrpublic.push.result import PushResult

MAX_ATTACHED = 1000
"""Signatures, attestations and the like of one image; more is a registry that answers without end."""
MAX_LOST = 600.0
"""Seconds that those that fail may take together: a registry that has gone away fails for each of them."""


class _TooMuchError(ECRPublicError):
    """The rest is left out."""


@runtime_checkable
class Attachable(ImageSource, SupportsReferrers, Protocol):
    """A source that knows what is attached to its manifests, as those of this package do."""


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


class AttachedPush:
    """The push of what is attached to the manifests of an image, and of what is attached to that, and so on.

    What cannot be pushed is noted, and the others go on.

    Args:
        source: Where the image and all the rest is.
        image: The image's own push.
        push: Pushes a single manifest under some tags.
    """

    def __init__(
        self,
        source: Attachable,
        image: Pushed,
        push: Callable[[ImageSource, Sequence[str]], Awaitable[Pushed]],
    ) -> None:
        self._source = source
        self._push = push
        self._result = image.result
        self._waiting = deque(image.manifests)
        self._failures: list[ReferrerFailure] = []
        # Digests and tags: several manifests may list the same.
        self._tried: set[tuple[str, tuple[str, ...]]] = set()
        # Seconds that failures have taken.
        self._lost = 0.0

    async def run(self) -> PushResult:
        """Push all of it.

        Returns:
            The image's result, with the counts and the time of everything together, and with what failed.
        """
        asked: set[str] = set()
        try:
            while self._waiting:
                digest = self._waiting.popleft()
                if digest not in asked:
                    asked.add(digest)
                    await self._push_attached_to(digest)
        except _TooMuchError as error:
            self._note(self._result.digest, error)
        return attrs.evolve(self._result, referrers_failed=tuple(self._failures))

    async def _push_attached_to(self, digest: str) -> None:
        attached: list[tuple[Descriptor, tuple[str, ...]]] = []
        async with self._noting_failure(digest):
            attached += [(descriptor, ()) for descriptor in await self._source.referrers(digest)]
        async with self._noting_failure(digest):
            found = await self._source.cosign_tags(digest)
            attached += [(descriptor, (tag,)) for tag, descriptor in found.items()]
        for descriptor, tags in attached:
            if (descriptor.digest, tags) in self._tried:
                continue
            if len(self._tried) == MAX_ATTACHED:
                raise _TooMuchError(f"more than {MAX_ATTACHED} manifests are attached to it")
            self._tried.add((descriptor.digest, tags))
            async with self._noting_failure(descriptor.digest):
                pushed = await self._push(_Attached(self._source, descriptor), tags)
                self._result = _sum(self._result, pushed.result)
                self._waiting.extend(pushed.manifests)

    @asynccontextmanager
    async def _noting_failure(self, digest: str) -> AsyncGenerator[None]:
        started = time.monotonic()
        try:
            async with single_error():
                yield
        except StrayCancellationError:
            raise
        except (ImageError, PushError, ServiceError, ValidationError) as error:
            self._note(digest, error)
            self._lost += time.monotonic() - started
            if self._lost > MAX_LOST:
                raise _TooMuchError(
                    f"what failed of what is attached to it took more than {MAX_LOST:g} s"
                ) from error

    def _note(self, digest: str, error: Exception) -> None:
        self._failures.append(ReferrerFailure(digest=digest, reason=str(error)))


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
