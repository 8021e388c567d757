"""Layers: asked for, begun, sent in parts, completed."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aioecrpublic._generated import types
from aioecrpublic._generated.errors import (
    EmptyUploadException,
    InvalidLayerException,
    InvalidLayerPartException,
    InvalidParameterException,
    LayerAlreadyExistsException,
    LayerPartTooSmallException,
    LimitExceededException,
    UploadNotFoundException,
)
from aioecrpublic.local.accounts import REGISTRY_ID
from aioecrpublic.local.state import Context, check_registry, find_repository

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Sequence

    from aioecrpublic.local.database import Cursor
    from aioecrpublic.local.state import Settings, State

_DIGEST_LENGTH = len("sha256:") + 64


def batch_check_layer_availability(
    context: Context, request: types.BatchCheckLayerAvailabilityRequest
) -> types.BatchCheckLayerAvailabilityResponse:
    """BatchCheckLayerAvailability."""
    check_registry(request.registry_id)
    layers, failures = [], []
    state, name = context.state, request.repository_name
    with state.database.transaction() as cursor:
        find_repository(cursor, name)
        for digest in dict.fromkeys(request.layer_digests):
            size = cursor.value(
                "UPDATE layer SET touched_at = ? WHERE repository = ? AND digest = ? RETURNING size",
                state.now(),
                name,
                digest,
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
        add_upload(context.state, cursor, request.repository_name, upload_id, "api")
    return types.InitiateLayerUploadResponse(upload_id=upload_id, part_size=context.state.settings.part_size)


def upload_layer_part(
    context: Context, request: types.UploadLayerPartRequest
) -> types.UploadLayerPartResponse:
    """UploadLayerPart: parts follow each other, and their last byte is inclusive."""
    check_registry(request.registry_id)
    state, name = context.state, request.repository_name
    data = bytes(request.layer_part_blob)  # type: ignore[arg-type]
    # One part at a time for each upload, so that two for the same place are not both written.
    with state.uploads.hold(request.upload_id):
        with state.database.transaction() as cursor:
            find_repository(cursor, name)
            upload = _upload(context, cursor, name, request.upload_id)
        _check_part(request, upload, len(data), state.settings)
        with (
            _gone(name, request.upload_id),
            state.blobs.open_upload(upload["id"], request.part_first_byte) as file,
        ):
            file.write(data)
            file.sync()
            with state.database.transaction() as cursor:
                changed = cursor.run(
                    "UPDATE upload SET received = received + ?, touched_at = ?,"
                    " smallest_part = coalesce(min(smallest_part, last_part), last_part), last_part = ?,"
                    " parts = parts + 1"
                    " WHERE id = ?",
                    len(data),
                    state.now(),
                    len(data),
                    upload["id"],
                )
            if not changed:
                raise _no_upload(name, request.upload_id)
            file.keep()
    return types.UploadLayerPartResponse(
        registry_id=REGISTRY_ID,
        repository_name=name,
        upload_id=request.upload_id,
        last_byte_received=request.part_last_byte,
    )


def complete_layer_upload(
    context: Context, request: types.CompleteLayerUploadRequest
) -> types.CompleteLayerUploadResponse:
    """CompleteLayerUpload: what was received becomes a layer if it has one of the digests."""
    check_registry(request.registry_id)
    state, name = context.state, request.repository_name
    with state.uploads.hold(request.upload_id):
        with state.database.transaction() as cursor:
            find_repository(cursor, name)
            upload = _upload(context, cursor, name, request.upload_id)
        _check_parts(context, upload)
        # Without a transaction: it takes a second for each gigabyte or two.
        with _gone(name, request.upload_id):
            digest = state.blobs.digest(upload["id"], upload["received"])
        if digest not in request.layer_digests:
            raise InvalidLayerException(
                "None of the provided layer digests match the calculated layer digest"
            )
        with state.database.transaction() as cursor:
            find_repository(cursor, name)
            _upload(context, cursor, name, request.upload_id)
            new = keep_layer(state, cursor, name, upload["id"], digest, upload["received"])
        state.blobs.drop_upload(upload["id"])
    if not new:
        raise LayerAlreadyExistsException(
            f"The layer with digest '{digest}' already exists in the repository with name '{name}' in "
            f"registry with id '{REGISTRY_ID}'"
        )
    return types.CompleteLayerUploadResponse(
        registry_id=REGISTRY_ID, repository_name=name, upload_id=request.upload_id, layer_digest=digest
    )


def add_upload(state: State, cursor: Cursor, name: str, upload_id: str, side: str) -> None:
    """Begin an upload by one of the sides, which is ``api`` or ``v2``."""
    state.blobs.begin(upload_id)
    cursor.run(
        "INSERT INTO upload (id, repository, side, touched_at) VALUES (?, ?, ?, ?)",
        upload_id,
        name,
        side,
        state.now(),
    )


def keep_layer(state: State, cursor: Cursor, name: str, upload_id: str, digest: str, size: int) -> bool:
    """Make an upload a layer of the repository; whether it was not one yet."""
    cursor.run("DELETE FROM upload WHERE id = ?", upload_id)
    state.blobs.keep(upload_id, digest)
    return add_layer(state, cursor, name, digest, size)


def add_layer(state: State, cursor: Cursor, name: str, digest: str, size: int) -> bool:
    """Make a blob that is there a layer of the repository; whether it was not one yet."""
    touched = cursor.run(
        "UPDATE layer SET touched_at = ? WHERE repository = ? AND digest = ?", state.now(), name, digest
    )
    if not touched:
        cursor.run("INSERT INTO layer VALUES (?, ?, ?, ?)", name, digest, size, state.now())
    return not touched


def missing_layers(cursor: Cursor, repository: str, digests: Sequence[str]) -> list[str]:
    """Those of ``digests`` that are not layers of the repository."""
    return [
        digest
        for digest in digests
        if cursor.row("SELECT 1 FROM layer WHERE repository = ? AND digest = ?", repository, digest) is None
    ]


def _upload(context: Context, cursor: Cursor, repository: str, upload_id: str) -> sqlite3.Row:
    upload = cursor.row(
        "SELECT * FROM upload WHERE id = ? AND repository = ? AND side = 'api'", upload_id, repository
    )
    if upload is None or upload["touched_at"] < context.state.forgotten_before():
        raise _no_upload(repository, upload_id)
    return upload


def _no_upload(repository: str, upload_id: str) -> UploadNotFoundException:
    return UploadNotFoundException(
        f"Upload with id '{upload_id}' does not exist in the repository with name '{repository}' in the "
        f"registry with id '{REGISTRY_ID}'"
    )


@contextmanager
def _gone(repository: str, upload_id: str) -> Generator[None, None, None]:
    """An upload whose file is removed while it is worked on is one that does not exist."""
    try:
        yield
    except FileNotFoundError:
        raise _no_upload(repository, upload_id) from None


def _check_parts(context: Context, upload: sqlite3.Row) -> None:
    if not upload["received"]:
        raise EmptyUploadException("The specified layer upload does not contain any layer parts.")
    smallest = upload["smallest_part"]
    if smallest is not None and smallest < context.state.settings.smallest_part:
        raise LayerPartTooSmallException("Layer parts must be at least 5 MiB in size.")


def _check_part(
    request: types.UploadLayerPartRequest, upload: sqlite3.Row, size: int, settings: Settings
) -> None:
    """Refuse a part that is not the next, or one too many, or more than a layer may have."""
    if request.part_last_byte - request.part_first_byte + 1 != size or not size:
        raise InvalidParameterException(
            "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: "
            f"'{size} bytes are not those from partFirstByte to partLastByte'"
        )
    if request.part_first_byte != upload["received"]:
        raise _misplaced(request, upload["received"])
    if upload["parts"] >= settings.most_parts:
        raise LimitExceededException(f"A layer has at most {settings.most_parts} parts.")
    if upload["received"] + size > settings.largest_layer:
        raise LimitExceededException(f"A layer has at most {settings.largest_layer} bytes.")


def _misplaced(request: types.UploadLayerPartRequest, received: int) -> InvalidLayerPartException:
    return InvalidLayerPartException(
        f"Layer part with first byte {request.part_first_byte} is not consecutive to the last byte of a "
        f"previous layer part upload, {received - 1 if received else 'which there is not'}",
        registry_id=REGISTRY_ID,
        repository_name=request.repository_name,
        upload_id=request.upload_id,
        last_valid_byte_received=max(received - 1, 0),
    )


def _is_digest(digest: str) -> bool:
    name, _, value = digest.partition(":")
    return name == "sha256" and len(digest) == _DIGEST_LENGTH and not set(value) - set("0123456789abcdef")
