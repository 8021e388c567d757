"""One layer's way into a repository: initiate, part after part, complete; mended at the smallest scope.

Parts of a layer must follow each other (the service refuses a gap), so a layer is a sequence, and while one
part is on the wire the next is read and hashed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from aioecrpublic._generated import service
from aioecrpublic._generated.errors import (
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
from aioecrpublic._runtime.body import BlobError
from aioecrpublic._runtime.errors import ServiceError, TransportError
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
from aioecrpublic.push.prefetch import PreparedPart
from aioecrpublic.push.result import LayerResult
from aioecrpublic.push.sizes import LARGEST_PART, choose_part_size
from aioecrpublic.push.upload import RESTARTING, Upload, UploadLostError, ask_where, standing

if TYPE_CHECKING:
    from aioecrpublic._common.errors import ECRPublicError
    from aioecrpublic._runtime.call import Call
    from aioecrpublic.images import Blob
    from aioecrpublic.push.budget import MemoryBudget
    from aioecrpublic.push.destination import Destination
    from aioecrpublic.push.events import Emitter
    from aioecrpublic.push.journal import Journal

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


class LayerUpload:
    """The upload of one blob that the repository lacks.

    Args:
        destination: Where it goes.
        blob: The opened blob.
        options: What all layers of a push have in common.
        name: What the blob is called in messages.
    """

    def __init__(self, destination: Destination, blob: Blob, options: UploadOptions, name: str) -> None:
        self.destination = destination
        self._options = options
        self._descriptor = blob.descriptor
        self._bytes = LayerBytes(blob, destination.executor, name)
        self._patience = Patience(f"layer {blob.descriptor.digest}")
        self._confirmed = 0
        self._resumed = 0
        self._refused = False
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
        await emitter.emit(
            LayerStarted(digest=descriptor.digest, size=descriptor.size, media_type=descriptor.media_type)
        )
        upload = await self._resume()
        # Not before it is told that the layer is resumed: no tick may tell of less.
        emitter.watch(self._progress)
        try:
            uploaded = await self._until_there(upload)
        finally:
            emitter.unwatch(self._progress)
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

    async def _until_there(self, upload: Upload | None) -> bool:
        """Upload until the layer is there; whether it was this upload that brought it."""
        while True:
            try:
                if upload is None:
                    upload = await self._initiate()
                await self._send_parts(upload)
                return await self._complete(upload)
            except RESTARTING as error:
                if isinstance(error, InvalidLayerException):
                    await self._check_refused(error)
                # Also what a lost reply to the completion looks like.
                if await self._is_there():
                    return upload is not None and upload.confirmed == self._descriptor.size
                await self._begin_again(error)
                upload = None
            except LayerAlreadyExistsException:
                return False

    async def _check_refused(self, error: InvalidLayerException) -> None:
        """Find out whether sending the layer again may help where the service has computed another digest.

        Raises:
            ImageError: Its bytes do not have the digest.
            PushError: They have, and the service has refused them before, as one would that knows no sha512.
        """
        await self._forget()
        await self._bytes.verify()
        if self._refused:
            raise PushError(
                f"layer {self._descriptor.digest}: its bytes have this digest, and the service has refused "
                f"them twice: {error}"
            ) from error
        self._refused = True

    async def _initiate(self) -> Upload:
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
        upload = Upload(response.upload_id, self._part_size(response.part_size))
        await self._note(upload)
        return upload

    def _part_size(self, asked: int | None) -> int:
        room = self._options.budget.limit if self._bytes.buffered else LARGEST_PART
        return choose_part_size(asked, self._options.part_size, self._descriptor.size, room)

    async def _send_parts(self, upload: Upload) -> None:
        """Send what the service does not have; ``upload.confirmed`` follows what it says it has."""
        current: PreparedPart | None = None
        following: PreparedPart | None = None
        try:
            while upload.confirmed < self._descriptor.size:
                current, following = following, None
                if current is not None and current.first != upload.confirmed:
                    await current.release()
                    current = None
                if current is None:
                    current = await self._begin_part(upload, upload.confirmed)
                await current.ready()
                following = self._begin_following(upload, current)
                await self._send(upload, current)
                await current.release()
                current = None
        except BlobError as error:
            what = f"{self._bytes.name}: its bytes changed while they were being pushed"
            raise ImageError(f"{what} ({error})") from error
        finally:
            left = [part for part in (current, following) if part is not None]
            for part in left:
                part.give_up()
            for part in left:
                await part.release()

    async def _begin_part(self, upload: Upload, first: int) -> PreparedPart:
        """A part on its way to being ready, once there is memory for it."""
        length = self._length(upload, first)
        memory = self._memory(length)
        await self._options.budget.acquire(memory)
        return PreparedPart(self._prepare(upload, first, length), self._options.budget, memory, first, length)

    def _begin_following(self, upload: Upload, part: PreparedPart) -> PreparedPart | None:
        """The next part, to be read and hashed while this one is sent, if the memory for it is there."""
        first = part.last + 1
        if first >= self._descriptor.size:
            return None
        length = self._length(upload, first)
        memory = self._memory(length)
        if not self._options.budget.try_acquire(memory):
            return None
        return PreparedPart(self._prepare(upload, first, length), self._options.budget, memory, first, length)

    def _length(self, upload: Upload, first: int) -> int:
        return min(upload.part_size, self._descriptor.size - first)

    def _memory(self, length: int) -> int:
        return length if self._bytes.buffered else min(length, _STREAMED)

    async def _prepare(self, upload: Upload, first: int, length: int) -> Call:
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
        return call

    async def _send(self, upload: Upload, part: PreparedPart) -> None:
        self._sent += part.last - part.first + 1
        try:
            response = await self.destination.make(await part.ready())
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
            raise UploadLostError(
                f"upload {upload.id} was sent bytes {part.first}-{part.last} and says it has "
                f"{response.last_byte_received}"
            )
        await self._confirm(upload, part.last + 1)

    async def _realign(self, upload: Upload, error: InvalidLayerPartException) -> None:
        """Go on where the service says it stands: a part whose reply was lost may well have arrived."""
        there = standing(error, self._descriptor.size)
        if there is None:
            raise UploadLostError(f"upload {upload.id} does not say where it stands") from error
        if there <= upload.confirmed:
            await self._patience.bear(error, f"going on at byte {there}")
        await self._confirm(upload, there)
        await self._tell_retried(there, error)

    async def _complete(self, upload: Upload) -> bool:
        """Complete the upload; whether it was this one that brought the layer."""
        request = CompleteLayerUploadRequest(
            repository_name=self.destination.repository_name,
            registry_id=self.destination.registry_id,
            upload_id=upload.id,
            layer_digests=[self._descriptor.digest],
        )
        unanswered = False
        while True:
            try:
                response = await self.destination.call(service.COMPLETE_LAYER_UPLOAD, request)
            except LayerAlreadyExistsException as error:
                # Where a reply was lost before, it was this upload that brought it.
                return unanswered or error.attempts > 1
            except RESTARTING:
                raise
            except (ServiceError, TransportError) as error:
                unanswered = True
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

    async def _confirm(self, upload: Upload, reached: int) -> None:
        upload.confirmed = reached
        self._patience.advanced(reached)
        self._confirmed = max(self._confirmed, reached)
        await self._note(upload)
        progress = self._progress()
        if progress is not None:
            await self._options.emitter.emit(progress)

    async def _note(self, upload: Upload) -> None:
        if self._options.journal is not None:
            await self._options.journal.confirm(
                self.destination, self._descriptor.digest, upload.id, upload.confirmed
            )

    async def _forget(self) -> None:
        if self._options.journal is not None:
            await self._options.journal.forget(self.destination, self._descriptor.digest)

    async def _resume(self) -> Upload | None:
        """The upload that an earlier push left, if the journal knows one that the service still has."""
        journal = self._options.journal
        left = await journal.find(self.destination, self._descriptor.digest) if journal else None
        if left is None or left.confirmed > self._descriptor.size:
            return None
        upload = Upload(left.upload_id, self._part_size(None), left.confirmed)
        try:
            await ask_where(self.destination, upload, self._descriptor.size)
        except (UploadNotFoundException, UploadLostError):
            await self._forget()
            return None
        if upload.confirmed:
            self._confirmed = self._resumed = upload.confirmed
            self._patience.advanced(upload.confirmed)
            await self._options.emitter.emit(
                LayerResumed(digest=self._descriptor.digest, bytes_confirmed=upload.confirmed)
            )
        return upload

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
            bytes_resumed=self._resumed,
        )
