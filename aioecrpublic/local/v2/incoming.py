"""What comes for an upload, written slice by slice and settled at the end. Everything here blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from aioecrpublic.local.v2.errors import unknown_upload

if TYPE_CHECKING:
    from aioecrpublic.local.state import State


class Incoming:
    """The bytes of one request on their way to an upload's file, which is opened when there are any.

    Args:
        state: The registry.
        upload_id: The upload.
        received: How much of it is there.
    """

    def __init__(self, state: State, upload_id: str, received: int) -> None:
        self._state = state
        self._upload_id = upload_id
        self._received = received
        self._file: BinaryIO | None = None

    def write(self, data: bytes | bytearray) -> None:
        """Write some.

        Raises:
            V2Error: There is no such upload any more.
        """
        self._opened().write(data)
        self._received += len(data)

    def settle(self, data: bytes | bytearray) -> int:
        """Write the last of it, for good; how much of the upload is there then.

        Raises:
            V2Error: There is no such upload any more.
        """
        self.write(data)
        self._state.blobs.sync(self._opened())
        with self._state.database.transaction() as cursor:
            changed = cursor.run(
                "UPDATE upload SET received = ?, touched_at = ? WHERE id = ?",
                self._received,
                self._state.now(),
                self._upload_id,
            )
        if not changed:
            raise unknown_upload()
        return self._received

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            try:
                self._file = self._state.blobs.open_upload(self._upload_id, self._received)
            except FileNotFoundError:
                raise unknown_upload() from None
        return self._file
