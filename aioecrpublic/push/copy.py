"""From any registry into ECR Public: an image, and on request what is attached to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images import RegistryImage
from aioecrpublic.images.reference import hide_user, parse_reference
from aioecrpublic.push.api import DEFAULT_JOBS, push_image

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.push.events import OnEvent
    from aioecrpublic.push.result import PushResult

_SCHEME = "docker://"


async def copy_image(
    client: ECRPublicClient,
    source: RegistryImage | str,
    repository_name: str,
    tags: Sequence[str] | None = None,
    registry_id: str | None = None,
    *,
    jobs: int = DEFAULT_JOBS,
    part_size: int | None = None,
    platforms: Sequence[str] | None = None,
    create_repository: bool = False,
    journal: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    memory_budget: int | None = None,
    include_nondistributable: bool = False,
    referrers: bool = False,
    compress: bool | None = None,
) -> PushResult:
    """Copy an image out of another registry: no engine, nothing on disk, byte for byte.

    Only the layers that the repository lacks are read; they go from one registry to the other in parts that
    are held in memory within the budget. Copying again transfers no layer.

    Args:
        client: An open client.
        source: ``docker://HOST/REPOSITORY:TAG`` or ``…@sha256:…``, for which the credentials that
            ``docker login`` has left are used; or a ``RegistryImage``, which is closed afterwards unless it
            was entered before.
        repository_name: The repository's name, without registry or tag.
        tags: The tags that the image gets; ``None`` is the tag that it has in the source, if it is asked for
            by one, and an empty list is none.
        registry_id: The account or alias that the repository belongs to, if it is not the caller's.
        jobs: Layers in flight.
        part_size: Bytes of a part, from 5 to 20 MiB; ``None`` is what the service asks for.
        platforms: The platforms of an index that are wanted, such as ``["linux/amd64"]``; ``None`` is the
            whole index, byte for byte.
        create_repository: Make the repository if it is not there.
        journal: A file that remembers unfinished layers, so that a copy that died goes on in their middle; it
            is made, and removed when all is done. A file of another kind is refused and left as it is.
        on_event: Called with every event; an awaitable that it returns is awaited. What is attached to the
            image comes as pushes of their own, after the image's.
        memory_budget: Bytes that parts may take in memory; ``None`` is a budget of 64 MiB that all pushes
            through this client share.
        include_nondistributable: Also copy layers that are meant to be fetched from elsewhere.
        referrers: Also copy what is attached to the image and to every manifest in it: the manifests that
            refer to it as their subject (OCI distribution specification, "Listing Referrers") and what cosign
            has stored under tags made of its digest; then what is attached to those. What of it cannot be
            read or put is told in the result, and the others go on.
        compress: True to compress uncompressed layers by gzip, which takes a temporary file and gives the
            image another digest, as ``push_image`` says; else all is copied byte for byte.

    Returns:
        What is in the repository now: digest, tags and URIs are the image's, the counts and the time those of
        the image and all that is attached to it.

    Raises:
        ConfigurationError: An argument cannot be used.
        ValidationError: The repository's name or a tag cannot be.
        ImageError: The registry has no such image, refuses it, or it is not what it says it is.
        PushError: It could not be finished.
        ServiceError: The service refuses it, such as ``RepositoryNotFoundException``.
    """
    image = registry_image(source)
    named = parse_reference(image.name)
    if tags is None:
        tags = [] if named.digest or named.tag is None else [named.tag]
    return await push_image(
        client,
        image,
        repository_name,
        tags,
        registry_id,
        jobs=jobs,
        part_size=part_size,
        platforms=platforms,
        create_repository=create_repository,
        journal=journal,
        on_event=on_event,
        memory_budget=memory_budget,
        include_nondistributable=include_nondistributable,
        referrers=referrers,
        compress=compress,
    )


def registry_image(
    source: RegistryImage | str,
    *,
    ca_file: str | None = None,
    verify_tls: bool = True,
    insecure: bool | None = None,
) -> RegistryImage:
    """The image of a registry that ``source`` means; nothing is read yet.

    Args:
        source: Its name, or the image itself, for which the rest does not count.
        ca_file: As of ``RegistryImage``.
        verify_tls: The same.
        insecure: The same.

    Raises:
        ConfigurationError: It has another form than ``docker://HOST/REPOSITORY:TAG`` or ``…@DIGEST``.
        ImageError: Its host, repository, tag or digest cannot be.
    """
    if isinstance(source, RegistryImage):
        return source
    if not source.startswith(_SCHEME):
        named = hide_user(source)
        raise ConfigurationError(f"source {named!r} is not {_SCHEME}HOST/REPOSITORY:TAG or …@DIGEST")
    return RegistryImage(source, ca_file=ca_file, verify_tls=verify_tls, insecure=insecure)
