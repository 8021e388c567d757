"""Clients that go away."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local import LocalECRPublic
from tests.push.helpers import connect

if TYPE_CHECKING:
    from aioecrpublic._runtime.hooks import SendEvent


async def test_a_client_that_goes_in_the_middle_of_its_request_is_nobodys_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)

    class Leaving:
        async def before_send(self, event: SendEvent) -> None:
            # The server does not read before its latency is over, so not all of it can have been sent.
            asyncio.get_running_loop().call_later(0.1, sending.cancel)

    async with LocalECRPublic(latency=0.3) as server, connect(server) as client:
        await client.create_repository(repository_name="team/app")
        upload = await client.initiate_layer_upload(repository_name="team/app")
        part = client.with_options(hooks=[Leaving()]).upload_layer_part(
            repository_name="team/app",
            upload_id=upload.upload_id or "",
            part_first_byte=0,
            part_last_byte=20 * 1024 * 1024 - 1,
            layer_part_blob=bytes(20 * 1024 * 1024),
        )
        sending = asyncio.ensure_future(part)
        with pytest.raises(asyncio.CancelledError):
            await sending
        # Longer than the latency: by the end of this the part was read as far as it goes.
        await client.describe_repositories()
    assert not caplog.records
