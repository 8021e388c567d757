"""Manifests into a repository, each as soon as what it refers to is there; only the root is tagged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic._generated import service
from aioecrpublic._generated.errors import (
    ImageAlreadyExistsException,
    LayersNotFoundException,
    LimitExceededException,
    ReferencedImagesNotFoundException,
)
from aioecrpublic._generated.types import PutImageRequest
from aioecrpublic._runtime.errors import ServiceError, TransportError
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.events import ManifestPut
from aioecrpublic.push.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aioecrpublic.images import ManifestNode
    from aioecrpublic.push.destination import Destination
    from aioecrpublic.push.events import Emitter

_MENDABLE = (LayersNotFoundException, ReferencedImagesNotFoundException)


async def put_manifest(
    destination: Destination,
    node: ManifestNode,
    tag: str | None,
    *,
    emitter: Emitter,
    restore: Callable[[ManifestNode], Awaitable[None]],
) -> None:
    """Put the exact bytes of a manifest, under ``tag`` if there is one.

    Args:
        destination: The repository.
        node: The manifest.
        tag: Its tag.
        emitter: Who is told.
        restore: Brings again what the service says it does not have of what the manifest refers to.

    Raises:
        PushError: It failed too often, or the service computes another digest.
        ServiceError: The service refuses it.
    """
    descriptor = node.descriptor
    request = PutImageRequest(
        repository_name=destination.repository_name,
        registry_id=destination.registry_id,
        image_manifest=node.raw.decode("utf-8"),
        image_manifest_media_type=descriptor.media_type,
        image_digest=descriptor.digest,
        image_tag=tag,
    )
    patience = Patience(f"manifest {descriptor.digest}")
    while True:
        try:
            response = await destination.call(service.PUT_IMAGE, request)
        except ImageAlreadyExistsException:
            break
        except _MENDABLE as error:
            await patience.bear(error, "bringing what it refers to again")
            await restore(node)
        except LimitExceededException:
            raise
        except (ServiceError, TransportError) as error:
            await patience.outlast(error, "putting it again")
        else:
            image = response.image
            stored = image.image_id.image_digest if image and image.image_id else None
            if stored not in {None, descriptor.digest}:
                raise PushError(f"manifest {descriptor.digest}: the service has stored it as {stored}")
            break
    destination.retries += patience.failures
    await emitter.emit(ManifestPut(digest=descriptor.digest, media_type=descriptor.media_type, tag=tag))
