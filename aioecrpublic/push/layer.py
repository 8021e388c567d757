"""One layer's way into a repository: initiate, part after part, complete; mended at the smallest scope.

Parts of a layer must follow each other (the service refuses a gap), so a layer is a sequence, and while one
part is on the wire the next is read and hashed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic._base import ECRPublicError
from aioecrpublic._generated import service
from aioecrpublic._generated.errors import (
    EmptyUploadException,
    InvalidLayerException,
    InvalidLayerPartException,
    LayerAlreadyExistsException,
    UploadNotFoundException,
)
from aioecrpublic._generated.types import (
    CompleteLayerUploadRequest,
    InitiateLayerUploadRequest,
    UploadLayerPartRequest,
)
from aioecrpublic._runtime.errors import ConfigurationError, ServiceError, TransportError
from aioecrpublic.images import ImageError
from aioecrpublic.push.budget import MIB
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.events import (
    SHORTEST_PAUSE,
    LayerCompleted,
    LayerProgress,
    LayerResumed,
    LayerStarted,
    PartRetried,
)
from aioecrpublic.push.parts import LayerBytes
from aioecrpublic.push.patience import Patience
from aioecrpublic.push.result import LayerResult

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aioecrpublic._runtime.call import Call
    from aioecrpublic.images import Blob
    from aioecrpublic.push.budget import MemoryBudget
    from aioecrpublic.push.destination import Destination
    from aioecrpublic.push.events import Emitter
    from aioecrpublic.push.journal import Journal

# https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
SMALLEST_PART = 5 * MIB
LARGEST_PART = 20 * MIB
MOST_PARTS = 1000
LARGEST_LAYER = 10_000 * MIB
# What a part that is streamed from a file takes: slices, their base64, and the socket's buffer.
_STREAMED = MIB


@attrs.frozen(kw_only=True)
class UploadOptions:
    """What all layers of a push have in common.

    Attributes:
        part_size: Bytes of a part; ``None`` is what the service asks for.
        budget: The memory that parts may take.
        emitter: Who is told.
        journal: Where confirmed bytes are remembered, if anywhere.
    """

    part_size: int | None
    budget: MemoryBudget
    emitter: Emitter
    journal: Journal | None


def check_part_size(part_size: int | None, budget: MemoryBudget) -> None:
    """Refuse a part size that the service would refuse.

    Raises:
        ConfigurationError: It is not between 5 and 20 MiB, or the memory budget is smaller.
    """
    if part_size is not None and not SMALLEST_PART <= part_size <= LARGEST_PART:
        raise ConfigurationError(
            f"part_size is {part_size!r}, from {SMALLEST_PART} (5 MiB) to {LARGEST_PART} (20 MiB) bytes"
        )
    if budget.limit < max(SMALLEST_PART, part_size or 0):
        raise ConfigurationError(
            f"memory_budget is {budget.limit} bytes, at least one part ({part_size or SMALLEST_PART})"
        )


def check_layer_size(digest: str, size: int) -> None:
    """Refuse a layer that the service cannot store.

    Raises:
        ImageError: It is empty, or larger than 10 000 MiB.
    """
    if size == 0:
        raise ImageError(f"layer {digest} is empty; the service cannot store an empty layer")
    if size > LARGEST_LAYER:
        raise ImageError(f"layer {digest} is {size} bytes, at most {LARGEST_LAYER} (10 000 MiB)")


def choose_part_size(asked: int | None, wanted: int | None, size: int) -> int:
    """Bytes of a part: as wanted, or as the service asks within its limits, but never too many parts."""
    chosen = wanted or min(max(asked or SMALLEST_PART, SMALLEST_PART), LARGEST_PART)
    if chosen * MOST_PARTS >= size:
        return chosen
    least = -(-size // MOST_PARTS)
    return min(-(-least // MIB) * MIB, LARGEST_PART)


class LayerUpload:
    """The upload of one blob that the repository lacks.

    Args:
        destination: Where it goes.
        blob: The opened blob.
        options: What all layers of a push have in common.
        on_verified: Called, once or more often, when all bytes were read and have the right digest, or the
            layer turned out to be there.
    """

    def __init__(
        self,
        destination: Destination,
        blob: Blob,
        options: UploadOptions,
        on_verified: Callable[[], None] = lambda: None,
    ) -> None:
        self.destination = destination
        self._options = options
        self._on_verified = on_verified
        self._descriptor = blob.descriptor
        self._bytes = LayerBytes(blob, destination.client._core.opened().executor)  # noqa: SLF001 - shared workers
        self._patience = Patience(f"layer {blob.descriptor.digest}")
        self._confirmed = 0
        self._shown, self._shown_at = (-1, -1), -SHORTEST_PAUSE
        self._sent = 0
        self._started = time.monotonic()

    async def run(self) -> LayerResult:
        """Bring the blob into the repository.

        Raises:
            ImageError: Its bytes cannot be read, or are not what its descriptor says.
            PushError: It failed too often.
            ServiceError: The service refuses it for a reason that trying again does not mend.
        """
        descriptor, emitter = self._descriptor, self._options.emitter
        check_layer_size(descriptor.digest, descriptor.size)
        await emitter.emit(
            LayerStarted(digest=descriptor.digest, size=descriptor.size, media_type=descriptor.media_type)
        )
        emitter.watch(self._progress)
        try:
            uploaded = await self._until_there()
        finally:
            emitter.unwatch(self._progress)
        self._on_verified()
        await self._forget()
        elapsed = time.monotonic() - self._started
        await emitter.emit(LayerCompleted(digest=descriptor.digest, size=descriptor.size, elapsed=elapsed))
        return LayerResult(
            digest=descriptor.digest,
            size=descriptor.size,
            uploaded=uploaded,
            bytes_sent=self._sent,
            retries=self._patience.failures,
            elapsed=elapsed,
        )

    async def _until_there(self) -> bool:
        """Upload until the layer is there; whether it was this upload that brought it."""
        upload = await self._resume()
        while True:
            try:
                if upload is None:
                    upload = await self._initiate()
                await self._send_parts(upload)
                return await self._complete(upload)
            except _RESTARTING as error:
                # Also what a lost reply to the completion looks like.
                if await self._is_there():
                    return upload is not None and upload.confirmed == self._descriptor.size
                await self._begin_again(error)
                upload = None
            except LayerAlreadyExistsException:
                return False

    async def _initiate(self) -> _Upload:
        response = await self.destination.persist(
            service.INITIATE_LAYER_UPLOAD,
            InitiateLayerUploadRequest(
                repository_name=self.destination.repository_name,
                registry_id=self.destination.registry_id,
            ),
            self._patience,
        )
        if response.upload_id is None:
            raise PushError(f"layer {self._descriptor.digest}: the service gave no upload id")
        upload = _Upload(response.upload_id, self._part_size(response.part_size))
        await self._note(upload)
        return upload

    def _part_size(self, asked: int | None) -> int:
        chosen = choose_part_size(asked, self._options.part_size, self._descriptor.size)
        if not self._bytes.buffered:
            return chosen
        return max(SMALLEST_PART, min(chosen, self._options.budget.limit))

    async def _send_parts(self, upload: _Upload) -> None:
        """Send what the service does not have; ``upload.confirmed`` follows what it says it has."""
        current: _Part | None = None
        following: _Part | None = None
        try:
            while upload.confirmed < self._descriptor.size:
                current, following = following, None
                if current is not None and current.first != upload.confirmed:
                    await current.release()
                    current = None
                if current is None:
                    current = await self._begin_part(upload, upload.confirmed)
                call = await current.ready()
                following = self._begin_following(upload, current)
                await self._send(upload, current, call)
                await current.release()
                current = None
        finally:
            left = [part for part in (current, following) if part is not None]
            for part in left:
                part.give_up()
            for part in left:
                await part.release()

    async def _begin_part(self, upload: _Upload, first: int) -> _Part:
        """A part on its way to being ready, once there is memory for it."""
        length = self._length(upload, first)
        memory = self._memory(length)
        await self._options.budget.acquire(memory)
        return _Part(self._prepare(upload, first, length), self._options.budget, memory, first, length)

    def _begin_following(self, upload: _Upload, part: _Part) -> _Part | None:
        """The next part, to be read and hashed while this one is sent, if the memory for it is there."""
        first = part.last + 1
        if first >= self._descriptor.size:
            return None
        length = self._length(upload, first)
        memory = self._memory(length)
        if not self._options.budget.try_acquire(memory):
            return None
        return _Part(self._prepare(upload, first, length), self._options.budget, memory, first, length)

    def _length(self, upload: _Upload, first: int) -> int:
        return min(upload.part_size, self._descriptor.size - first)

    def _memory(self, length: int) -> int:
        return length if self._bytes.buffered else min(length, _STREAMED)

    async def _prepare(self, upload: _Upload, first: int, length: int) -> Call:
        part = await self._bytes.part(first, length)
        call = self.destination.prepare(
            service.UPLOAD_LAYER_PART,
            UploadLayerPartRequest(
                repository_name=self.destination.repository_name,
                registry_id=self.destination.registry_id,
                upload_id=upload.id,
                part_first_byte=part.first,
                part_last_byte=part.last,
                layer_part_blob=part,
            ),
        )
        await call.prepare()
        if part.last + 1 == self._descriptor.size:
            await self._bytes.verify()
            self._on_verified()
        return call

    async def _send(self, upload: _Upload, part: _Part, call: Call) -> None:
        self._sent += part.last - part.first + 1
        try:
            response = await self.destination.make(call)
        except InvalidLayerPartException as error:
            await self._realign(upload, error)
            return
        except (UploadNotFoundException, LayerAlreadyExistsException):
            raise
        except (ServiceError, TransportError) as error:
            await self._patience.outlast(error, f"sending bytes {part.first}-{part.last} again")
            await self._tell_retried(part.first, error)
            return
        if response.last_byte_received not in {None, part.last}:
            raise _UploadLostError(
                f"upload {upload.id} was sent bytes {part.first}-{part.last} and says it has "
                f"{response.last_byte_received}"
            )
        await self._confirm(upload, part.last + 1)

    async def _realign(self, upload: _Upload, error: InvalidLayerPartException) -> None:
        """Go on where the service says it stands: a part whose reply was lost may well have arrived."""
        there = self._standing(error)
        if there is None:
            raise _UploadLostError(f"upload {upload.id} does not say where it stands") from error
        if there <= upload.confirmed:
            await self._patience.bear(error, f"going on at byte {there}")
        await self._confirm(upload, there)
        await self._tell_retried(there, error)

    def _standing(self, error: InvalidLayerPartException) -> int | None:
        """How many bytes the service has, or ``None`` if it does not say, or says what cannot be."""
        last = error.last_valid_byte_received
        if last is None or not -1 <= last < self._descriptor.size:
            return None
        # Zero is also what an upload without any part answers; a part of one byte is only ever the last.
        return 0 if last == 0 and self._descriptor.size > 1 else last + 1

    async def _complete(self, upload: _Upload) -> bool:
        await self._bytes.verify()
        self._on_verified()
        request = CompleteLayerUploadRequest(
            repository_name=self.destination.repository_name,
            registry_id=self.destination.registry_id,
            upload_id=upload.id,
            layer_digests=[self._descriptor.digest],
        )
        while True:
            try:
                response = await self.destination.call(service.COMPLETE_LAYER_UPLOAD, request)
            except (LayerAlreadyExistsException, *_RESTARTING):
                raise
            except (ServiceError, TransportError) as error:
                await self._patience.outlast(error, "completing again")
                if await self._is_there():
                    return True
                continue
            if response.layer_digest not in {None, self._descriptor.digest}:
                raise PushError(
                    f"layer {self._descriptor.digest}: the service has stored it as {response.layer_digest}"
                )
            return True

    async def _is_there(self) -> bool:
        """Whether the layer is in the repository after all."""
        return await self.destination.has(self._descriptor.digest, self._patience)

    async def _begin_again(self, error: ECRPublicError) -> None:
        await self._patience.bear(error, "beginning the layer again")
        await self._forget()
        await self._tell_retried(0, error)

    async def _tell_retried(self, first: int, error: ECRPublicError) -> None:
        await self._options.emitter.emit(
            PartRetried(digest=self._descriptor.digest, first_byte=first, error=error)
        )

    async def _confirm(self, upload: _Upload, reached: int) -> None:
        upload.confirmed = reached
        self._patience.advanced(reached)
        self._confirmed = max(self._confirmed, reached)
        await self._note(upload)
        progress = self._progress()
        if progress is not None:
            await self._options.emitter.emit(progress)

    async def _note(self, upload: _Upload) -> None:
        if self._options.journal is not None:
            await self._options.journal.confirm(
                self.destination, self._descriptor.digest, upload.id, upload.confirmed
            )

    async def _forget(self) -> None:
        if self._options.journal is not None:
            await self._options.journal.forget(self.destination, self._descriptor.digest)

    async def _resume(self) -> _Upload | None:
        """The upload that an earlier push left, if the journal knows one that the service still has."""
        journal = self._options.journal
        left = await journal.find(self.destination, self._descriptor.digest) if journal else None
        if left is None or left.confirmed > self._descriptor.size:
            return None
        upload = _Upload(left.upload_id, self._part_size(None), left.confirmed)
        try:
            await self._ask_where(upload)
        except (UploadNotFoundException, _UploadLostError):
            await self._forget()
            return None
        if upload.confirmed:
            self._confirmed = upload.confirmed
            self._patience.advanced(upload.confirmed)
            await self._options.emitter.emit(
                LayerResumed(digest=self._descriptor.digest, bytes_confirmed=upload.confirmed)
            )
        return upload

    async def _ask_where(self, upload: _Upload) -> None:
        """Find out how much the service has, by a byte that cannot be the next: it answers where it stands.

        There is no call that asks; a part sent from the journal's position instead would be sent twice if the
        process died between the service's confirmation and the journal's.
        """
        beyond = self._descriptor.size + 1
        request = UploadLayerPartRequest(
            repository_name=self.destination.repository_name,
            registry_id=self.destination.registry_id,
            upload_id=upload.id,
            part_first_byte=beyond,
            part_last_byte=beyond,
            layer_part_blob=b"\0",
        )
        try:
            await self.destination.call(service.UPLOAD_LAYER_PART, request)
        except InvalidLayerPartException as error:
            there = self._standing(error)
            upload.confirmed = upload.confirmed if there is None else there
        except UploadNotFoundException:
            raise
        except (ServiceError, TransportError):
            # The journal's own position is as good a start: the first part will tell.
            return
        else:
            # It was taken, so this is not an upload that can be trusted.
            raise _UploadLostError(f"upload {upload.id} took a byte from beyond the layer")

    def _progress(self) -> LayerProgress | None:
        """What is new since it was last told, if it was not told a moment ago; the end is always told."""
        state = (self._confirmed, max(self._confirmed, self._bytes.sent))
        elapsed = time.monotonic() - self._started
        too_soon = elapsed - self._shown_at < SHORTEST_PAUSE and self._confirmed < self._descriptor.size
        if state == self._shown or too_soon:
            return None
        self._shown, self._shown_at = state, elapsed
        return LayerProgress(
            digest=self._descriptor.digest,
            size=self._descriptor.size,
            bytes_confirmed=state[0],
            bytes_sent=state[1],
            elapsed=elapsed,
        )


class _UploadLostError(ECRPublicError):
    """An upload that cannot be continued, though the service did not say so in these words."""


_RESTARTING = (UploadNotFoundException, EmptyUploadException, InvalidLayerException, _UploadLostError)


@attrs.define
class _Upload:
    """One upload at the service: how large its parts are, and how many bytes it has confirmed."""

    id: str
    part_size: int
    confirmed: int = 0


class _Part:
    """A part that is being read and hashed, and the memory that it takes until it is released."""

    def __init__(
        self, preparing: Coroutine[Any, Any, Call], budget: MemoryBudget, memory: int, first: int, length: int
    ) -> None:
        self.first = first
        self.last = first + length - 1
        self._budget = budget
        self._memory = memory
        self._given_up = False
        self._task = asyncio.create_task(preparing)

    async def ready(self) -> Call:
        """The call that sends it, ready to be made."""
        return await self._task

    def give_up(self) -> None:
        """Give its memory back as soon as it is not used any more, whether it was sent or not."""
        if not self._given_up:
            self._given_up = True
            self._task.cancel()
            self._task.add_done_callback(self._ended)

    async def release(self) -> None:
        """Give it up, and wait until its memory is back."""
        self.give_up()
        await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[Call]) -> None:
        self._budget.release(self._memory)
        if not task.cancelled():
            # Nobody waits for it, so its failure, if there is one, need not be seen.
            task.exception()
