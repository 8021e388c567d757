"""What an image can be read from: the protocols between readers of images and those who use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from types import TracebackType

    from aioecrpublic.images.descriptor import Descriptor


class BlobReader(Protocol):
    """Random access to a range of bytes, wherever they are.

    It is called from worker threads, from several at once, and blocks while it reads.
    """

    def __len__(self) -> int:
        """Return the length of the range in bytes."""
        ...

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Return exactly `length` bytes from `offset` within the range.

        Raises:
            ImageError: they cannot be read any more; the file was truncated or closed meanwhile.
        """
        ...


class Blob(Protocol):
    """One opened blob; close it after use."""

    @property
    def descriptor(self) -> Descriptor:
        """What the blob is."""
        ...

    @property
    def buffered(self) -> bool:
        """True if what `read` returns is held in memory, False if it is read when it is asked for."""
        ...

    async def read(self, offset: int, length: int) -> bytes | BlobReader:
        """Return the range of `length` bytes from `offset`.

        Reading a remote blob from its start to its end in order costs one request.

        Raises:
            ImageError: the bytes cannot be read.
            ValueError: the range is not within the blob.
        """
        ...

    async def close(self) -> None:
        """Free what the blob holds; more than once does no harm."""
        ...


@runtime_checkable
class ImageSource(Protocol):
    """Something that holds an image. Open it with `open` or `async with`; close it after use."""

    @property
    def name(self) -> str:
        """What the source is called in messages, such as `oci:./layout:1.0`."""
        ...

    async def open(self) -> Descriptor:
        """Open the source and return its root: the image manifest or index that was chosen.

        Calling it again returns the same.

        Raises:
            ImageError: the source is missing or malformed, or the reference names nothing or too much.
        """
        ...

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        """Return the exact bytes of a manifest, at most 4 MiB, checked against size and digest.

        Raises:
            ImageError: it is missing, too large, or not what the descriptor says.
        """
        ...

    async def open_blob(self, descriptor: Descriptor) -> Blob:
        """Open a blob, which must exist and have the descriptor's size; its digest is not checked here.

        Raises:
            ImageError: it is missing or has another size.
        """
        ...

    async def check_blob(self, descriptor: Descriptor) -> None:
        """Check that a blob exists and has the descriptor's size.

        Raises:
            ImageError: it is missing or has another size.
        """
        ...

    async def close(self) -> None:
        """Free everything, temporary files included; more than once does no harm."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


@runtime_checkable
class SupportsReferrers(Protocol):
    """A source that knows what is attached to its manifests, as those of this package do."""

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the manifests that refer to ``digest`` as their subject."""
        ...

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        """Return what cosign has stored about a manifest under tags made of its digest, by tag."""
        ...


@runtime_checkable
class SupportsCompression(Protocol):
    """A source that compresses layers when it is opened."""

    @property
    def layers_compressed(self) -> int:
        """How many layers were compressed."""
        ...


@runtime_checkable
class SupportsOwnTag(Protocol):
    """A source that knows the tag of its image once it is open, as archives do."""

    @property
    def own_tag(self) -> str | None:
        """The one tag that the image has where it is, None if it has none or several."""
        ...


class SourceLifecycle:
    """`async with` for a source: open on entry, close on the last exit and when opening fails.

    Entries nest: who is lent a source may enter it too, and it stays open for the lender.
    """

    _holders = 0

    async def open(self) -> Descriptor:
        """Open the source."""
        raise NotImplementedError

    async def close(self) -> None:
        """Free everything."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._holders += 1
        try:
            await self.open()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        self._holders -= 1
        if not self._holders:
            await self.close()
