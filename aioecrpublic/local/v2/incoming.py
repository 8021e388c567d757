"""What comes for an upload, written slice by slice and settled at the end. Everything here blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic.local.v2.errors import unknown_upload

if TYPE_CHECKING:
    from aioecrpublic.local.blobs import UploadFile
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
        self._file: UploadFile | None = None

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
        file = self._opened()
        file.sync()
        with self._state.database.transaction() as cursor:
            changed = cursor.run(
                "UPDATE upload SET received = ?, touched_at = ? WHERE id = ?",
                self._received,
                self._state.now(),
                self._upload_id,
            )
        if not changed:
            raise unknown_upload()
        file.keep()
        return self._received

    def close(self) -> None:
        """Close the file, if there is one; what was not settled is cut off."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> UploadFile:
        if self._file is None:
            try:
                self._file = self._state.blobs.open_upload(self._upload_id, self._received)
            except FileNotFoundError:
                raise unknown_upload() from None
        return self._file
