"""An upload at the service, and where it stands: how many bytes of the layer the service has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._generated import service
from aioecrpublic._generated.errors import (
    EmptyUploadException,
    InvalidLayerException,
    InvalidLayerPartException,
    UploadNotFoundException,
)
from aioecrpublic._generated.types import UploadLayerPartRequest
from aioecrpublic._runtime.errors import ServiceError, TransportError

if TYPE_CHECKING:
    from aioecrpublic.push.destination import Destination


@attrs.define
class Upload:
    """One upload at the service.

    Attributes:
        id: The service's id of it.
        part_size: Bytes of its parts.
        confirmed: Bytes that the service has confirmed.
    """

    id: str
    part_size: int
    confirmed: int = 0


class UploadLostError(ECRPublicError):
    """An upload that cannot be continued, though the service did not say so in these words."""


RESTARTING = (UploadNotFoundException, EmptyUploadException, InvalidLayerException, UploadLostError)
"""After these, the layer has to begin again in another upload."""


def standing(error: InvalidLayerPartException, size: int) -> int | None:
    """How many of ``size`` bytes the service has, or ``None`` if it does not say, or says what cannot be."""
    last = error.last_valid_byte_received
    if last is None or not -1 <= last < size:
        return None
    # Zero is also what an upload without any part answers; a part of one byte is only ever the last.
    return 0 if last == 0 and size > 1 else last + 1


async def ask_where(destination: Destination, upload: Upload, size: int) -> None:
    """Find out how much the service has, by a byte that cannot be the next: it answers where it stands.

    There is no call that asks; a part sent from the journal's position instead would be sent twice if the
    process died between the service's confirmation and the journal's.

    Args:
        destination: The repository.
        upload: The upload, whose ``confirmed`` is corrected.
        size: Bytes of the layer.

    Raises:
        UploadNotFoundException: There is no such upload any more.
        UploadLostError: It is not to be trusted.
    """
    beyond = size + 1
    request = UploadLayerPartRequest(
        repository_name=destination.repository_name,
        registry_id=destination.registry_id,
        upload_id=upload.id,
        part_first_byte=beyond,
        part_last_byte=beyond,
        layer_part_blob=b"\0",
    )
    try:
        await destination.call(service.UPLOAD_LAYER_PART, request)
    except InvalidLayerPartException as error:
        there = standing(error, size)
        upload.confirmed = upload.confirmed if there is None else there
    except UploadNotFoundException:
        raise
    except (ServiceError, TransportError):
        # The journal's own position is as good a start: the first part will tell.
        return
    else:
        raise UploadLostError(f"upload {upload.id} took a byte from beyond the layer")
