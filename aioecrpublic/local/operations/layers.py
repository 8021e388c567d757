"""Layers: asked for, begun, sent in parts, completed."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    EmptyUploadException,
    InvalidLayerException,
    InvalidLayerPartException,
    InvalidParameterException,
    LayerAlreadyExistsException,
    LayerPartTooSmallException,
    UploadNotFoundException,
)
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.operations.policies import check_may_push
from aioecrpublic.local.state import Context, check_registry, find_repository

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aioecrpublic.local.database import Cursor

_DIGEST_LENGTH = len("sha256:") + 64


def batch_check_layer_availability(
    context: Context, request: types.BatchCheckLayerAvailabilityRequest
) -> types.BatchCheckLayerAvailabilityResponse:
    """BatchCheckLayerAvailability."""
    check_registry(request.registry_id)
    layers, failures = [], []
    with context.state.database.transaction() as cursor:
        find_repository(cursor, request.repository_name)
        for digest in dict.fromkeys(request.layer_digests):
            size = cursor.value(
                "SELECT size FROM layer WHERE repository = ? AND digest = ?", request.repository_name, digest
            )
            if not _is_digest(digest):
                failures.append(
                    types.LayerFailure(
                        layer_digest=digest,
                        failure_code=types.LayerFailureCode.INVALID_LAYER_DIGEST,
                        failure_reason="Invalid layer digest",
                    )
                )
            else:
                layers.append(
                    types.Layer(
                        layer_digest=digest,
                        layer_availability=types.LayerAvailability.UNAVAILABLE
                        if size is None
                        else types.LayerAvailability.AVAILABLE,
                        layer_size=size,
                    )
                )
    return types.BatchCheckLayerAvailabilityResponse(layers=layers, failures=failures)


def initiate_layer_upload(
    context: Context, request: types.InitiateLayerUploadRequest
) -> types.InitiateLayerUploadResponse:
    """InitiateLayerUpload."""
    check_registry(request.registry_id)
    upload_id = str(uuid.uuid4())
    with context.state.database.transaction() as cursor:
        find_repository(cursor, request.repository_name)
        check_may_push(context, cursor, request.repository_name)
        context.state.blobs.begin(upload_id)
        cursor.run(
            "INSERT INTO upload (id, repository, touched_at) VALUES (?, ?, ?)",
            upload_id,
            request.repository_name,
            context.state.now(),
        )
    return types.InitiateLayerUploadResponse(upload_id=upload_id, part_size=context.state.settings.part_size)


def upload_layer_part(
    context: Context, request: types.UploadLayerPartRequest
) -> types.UploadLayerPartResponse:
    """UploadLayerPart: parts follow each other, and their last byte is inclusive."""
    check_registry(request.registry_id)
    data = bytes(request.layer_part_blob)  # type: ignore[arg-type]
    with context.state.database.transaction() as cursor:
        find_repository(cursor, request.repository_name)
        check_may_push(context, cursor, request.repository_name)
        upload = _upload(context, cursor, request.repository_name, request.upload_id)
        if request.part_last_byte - request.part_first_byte + 1 != len(data) or not data:
            raise InvalidParameterException(
                "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: "
                f"'{len(data)} bytes are not those from partFirstByte to partLastByte'"
            )
        if request.part_first_byte != upload["received"]:
            raise _misplaced(request, upload["received"])
        # Within the transaction: two parts for the same place must not both be written.
        context.state.blobs.append(upload["id"], request.part_first_byte, data)
        cursor.run(
            "UPDATE upload SET received = received + ?1, touched_at = ?2,"
            " smallest_part = coalesce(min(smallest_part, last_part), last_part), last_part = ?1 WHERE id = ?3",
            len(data),
            context.state.now(),
            upload["id"],
        )
    return types.UploadLayerPartResponse(
        registry_id=REGISTRY_ID,
        repository_name=request.repository_name,
        upload_id=request.upload_id,
        last_byte_received=request.part_last_byte,
    )


def complete_layer_upload(
    context: Context, request: types.CompleteLayerUploadRequest
) -> types.CompleteLayerUploadResponse:
    """CompleteLayerUpload: what was received becomes a layer if it has one of the digests."""
    check_registry(request.registry_id)
    state, name = context.state, request.repository_name
    with state.database.transaction() as cursor:
        find_repository(cursor, name)
        check_may_push(context, cursor, name)
        upload = _upload(context, cursor, name, request.upload_id)
        if not upload["received"]:
            raise EmptyUploadException("The specified layer upload does not contain any layer parts.")
        if upload["smallest_part"] is not None and upload["smallest_part"] < state.settings.smallest_part:
            raise LayerPartTooSmallException("Layer parts must be at least 5 MiB in size.")
    # Without the lock: it takes a second for each gigabyte or two.
    digest = state.blobs.digest(upload["id"])
    if digest not in request.layer_digests:
        raise InvalidLayerException("None of the provided layer digests match the calculated layer digest")
    with state.database.transaction() as cursor:
        find_repository(cursor, name)
        _upload(context, cursor, name, request.upload_id)
        existing = cursor.row("SELECT 1 FROM layer WHERE repository = ? AND digest = ?", name, digest)
        cursor.run("DELETE FROM upload WHERE id = ?", upload["id"])
        if existing is None:
            state.blobs.keep(upload["id"], digest)
            cursor.run(
                "INSERT INTO layer (repository, digest, size) VALUES (?, ?, ?)",
                name,
                digest,
                upload["received"],
            )
    if existing is not None:
        state.blobs.drop_upload(upload["id"])
        raise LayerAlreadyExistsException(
            f"The layer with digest '{digest}' already exists in the repository with name '{name}' in registry "
            f"with id '{REGISTRY_ID}'"
        )
    return types.CompleteLayerUploadResponse(
        registry_id=REGISTRY_ID, repository_name=name, upload_id=request.upload_id, layer_digest=digest
    )


def missing_layers(cursor: Cursor, repository: str, digests: Sequence[str]) -> list[str]:
    """Those of ``digests`` that are not layers of the repository."""
    return [
        digest
        for digest in digests
        if cursor.row("SELECT 1 FROM layer WHERE repository = ? AND digest = ?", repository, digest) is None
    ]


def _upload(context: Context, cursor: Cursor, repository: str, upload_id: str) -> sqlite3.Row:
    upload = cursor.row("SELECT * FROM upload WHERE id = ? AND repository = ?", upload_id.lower(), repository)
    lifetime = context.state.settings.upload_lifetime.total_seconds()
    if upload is None or upload["touched_at"] + lifetime < context.state.now():
        raise UploadNotFoundException(
            f"Upload with id '{upload_id}' does not exist in the repository with name '{repository}' in the "
            f"registry with id '{REGISTRY_ID}'"
        )
    return upload


def _misplaced(request: types.UploadLayerPartRequest, received: int) -> InvalidLayerPartException:
    return InvalidLayerPartException(
        f"Layer part with first byte {request.part_first_byte} is not consecutive to the last byte of a previous "
        f"layer part upload, {received - 1 if received else 'which there is not'}",
        registry_id=REGISTRY_ID,
        repository_name=request.repository_name,
        upload_id=request.upload_id,
        last_valid_byte_received=max(received - 1, 0),
    )


def _is_digest(digest: str) -> bool:
    name, _, value = digest.partition(":")
    return name == "sha256" and len(digest) == _DIGEST_LENGTH and not set(value) - set("0123456789abcdef")
