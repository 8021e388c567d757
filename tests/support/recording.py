"""A client whose transport is a list: what it would send, without a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from multidict import CIMultiDict

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic._runtime.transport import Reply

if TYPE_CHECKING:
    import yarl

    from aioecrpublic._common.http import Timeouts
    from aioecrpublic._runtime.body import Body
    from aioecrpublic._runtime.client import BaseClient

CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a-session-token==")


@attrs.frozen
class Sent:
    """A request that would have been sent."""

    url: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RecordingTransport:
    """Answers ``data`` to everything, or what is in ``replies`` first."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.replies: list[Reply] = []
        self.data = b"{}"
        self.status = 200
        self.headers: dict[str, str] = {"x-amzn-RequestId": "0123"}

    async def send(
        self,
        url: yarl.URL,
        headers: dict[str, str],
        body: Body,
        timeouts: Timeouts,
        *,
        repeatable: bool = False,
    ) -> Reply:
        self.sent.append(Sent(str(url), CIMultiDict(headers), body.read()))
        if self.replies:
            return self.replies.pop(0)
        return Reply(self.status, CIMultiDict(self.headers), self.data)

    async def close(self) -> None:
        pass


async def record(client: BaseClient) -> RecordingTransport:
    """Open a client, and take the network away from it."""
    await client.open()
    transport = RecordingTransport()
    core: Any = client._core
    await core._shared.transport.close()
    core._shared.transport = transport
    return transport


async def recording_client(
    endpoint_url: str = "https://example.com", credentials: Credentials | None = CREDENTIALS, **options: Any
) -> tuple[ECRPublicClient, RecordingTransport]:
    """An open client and its transport."""
    options.setdefault("rate_limits", False)
    client = ECRPublicClient("us-east-1", endpoint_url, credentials, **options)
    return client, await record(client)
