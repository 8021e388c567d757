"""What pushes return."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class LayerResult:
    """One blob that is in the repository now.

    Attributes:
        digest: Its digest.
        size: Its size in bytes.
        uploaded: Whether this call brought it; ``False`` if it was there, or somebody else was faster.
        bytes_sent: Bytes of it that were sent, those sent again included.
        retries: Requests that were sent more than once, for whatever reason.
        elapsed: Seconds.
    """

    digest: str
    size: int
    uploaded: bool
    bytes_sent: int
    retries: int
    elapsed: float


@attrs.frozen(kw_only=True)
class ReferrerFailure:
    """Something attached to an image that could not be pushed with it.

    Attributes:
        digest: The digest of its manifest; or that of the manifest of which it could not be found out what is
            attached to it.
        reason: Why, in one line.
    """

    digest: str
    reason: str


@attrs.frozen(kw_only=True)
class PushResult:
    """One image that is in the repository now.

    Config blobs count as layers: the service stores them as such.

    Attributes:
        digest: The digest of the image's manifest or index.
        media_type: Its media type.
        tags: The tags that it was given.
        repository_uri: The repository as ``docker pull`` takes it; ``None`` if the caller may not ask for it.
        image_uri: The same with the first tag, or the digest where there is no tag.
        layers_uploaded: Layers that were uploaded.
        layers_skipped: Layers that were there.
        bytes_uploaded: Bytes of the layers that were uploaded.
        bytes_skipped: Bytes of the layers that were there.
        elapsed: Seconds.
        retries: Requests that were sent more than once, for whatever reason.
        layers_compressed: Layers that are uncompressed in the source, and were compressed. If there are any,
            the image has another digest than in the source.
        referrers_failed: What is attached to the image and could not be pushed; the rest of it was.
    """

    digest: str
    media_type: str
    tags: tuple[str, ...]
    repository_uri: str | None
    image_uri: str | None
    layers_uploaded: int
    layers_skipped: int
    bytes_uploaded: int
    bytes_skipped: int
    elapsed: float
    retries: int
    layers_compressed: int = 0
    referrers_failed: tuple[ReferrerFailure, ...] = ()
