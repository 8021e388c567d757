"""From opening to closing: the configuration read, the connections, the threads."""

from __future__ import annotations

import asyncio
import functools
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from aioecrpublic._common.threads import DaemonThreads
from aioecrpublic._runtime.call import Shared
from aioecrpublic._runtime.config import find_settings
from aioecrpublic._runtime.credentials import BotocoreSource, Credentials, StaticSource, check_credentials
from aioecrpublic._runtime.environment import botocore_session, hide_empty_variables
from aioecrpublic._runtime.errors import ClientStateError
from aioecrpublic._runtime.limits import RateLimits
from aioecrpublic._runtime.routing import Router
from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.threads import in_thread
from aioecrpublic._runtime.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp
    from botocore.credentials import Credentials as BotocoreCredentials

    from aioecrpublic._runtime.config import Arguments, Settings
    from aioecrpublic._runtime.credentials import CredentialSource
    from aioecrpublic._runtime.shapes import Service
    from aioecrpublic._runtime.validate import Hint


class Core:
    """What a client and those derived from it share, from opening to closing.

    Args:
        service: The service.
        hints: Plain words for usual mistakes.
        arguments: What the user asked for.
        session: The user's own session, if there is one.
        max_connections: How many connections may be open at once.
        rates: Calls per second by the operation's name.
    """

    def __init__(
        self,
        service: Service,
        hints: Mapping[str, Hint],
        arguments: Arguments,
        *,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        rates: Mapping[str, float],
    ) -> None:
        self._service = service
        self._hints = hints
        self._arguments = arguments
        self._session = session
        self._max_connections = max_connections
        self._rates = rates
        self._shared: Shared | None = None
        self._settings: Settings | None = None
        self._closed = False
        self._opening = asyncio.Lock()
        # Clients may be derived by the thousand; what none of them uses any more needs no closing.
        self._sources: weakref.WeakSet[BotocoreSource] = weakref.WeakSet()
        # Two kinds of work that must not wait for each other: hashing, and whatever botocore waits for.
        self._workers = ThreadPoolExecutor(max_workers=_worker_count(), thread_name_prefix="aioecrpublic")
        self._waiting = DaemonThreads(4, "aioecrpublic-config")

    async def open(self) -> None:
        """Read the configuration and make the connection pool, once.

        Raises:
            ConfigurationError: Something in the configuration cannot be used.
            ClientStateError: It was closed.
        """
        async with self._opening:
            if self._closed:
                raise ClientStateError("the client was closed; make a new one")
            if self._shared is None:
                settings = await in_thread(self._waiting, find_settings, self._service, self._arguments)
                self._shared = await self._connect(settings)
                self._settings = settings

    async def close(self) -> None:
        """End everything; calls that are under way end with an error."""
        async with self._opening:
            self._closed = True
            shared, self._shared = self._shared, None
        for source in self._sources:
            source.close()
        # Not waited for: a thread may be held up by a credential provider, and idle ones end at once. What is
        # still to be hashed is not cancelled: to those who await it, it would be as if they were.
        self._workers.shutdown(wait=False)
        self._waiting.shutdown(cancel_futures=True)
        if shared is not None:
            await shared.transport.close()

    def opened(self) -> Shared:
        """What calls share.

        Raises:
            ClientStateError: It is not open, or was closed.
        """
        if self._shared is None:
            raise ClientStateError(
                "the client is closed"
                if self._closed
                else "the client is not open: use 'async with' or await client.open()"
            )
        return self._shared

    def opened_settings(self) -> Settings:
        """What was configured; known from opening on.

        Raises:
            ClientStateError: It was not opened.
        """
        if self._settings is None:
            self.opened()
            raise AssertionError("an open client has settings")
        return self._settings

    def describe(self) -> str:
        """Where it leads and whether it is open, for people."""
        if self._settings is None:
            return "closed" if self._closed else "not open"
        state = "closed" if self._closed else "open"
        return f"{self._settings.endpoint_url} region={self._settings.region} {state}"

    def source(self, credentials: Credentials | BotocoreCredentials | None) -> CredentialSource:
        """Where calls take their credentials from: the given ones, or botocore's whole chain."""
        if isinstance(credentials, Credentials):
            return StaticSource(credentials)
        if credentials is None:
            source = BotocoreSource(self._find_credentials, self._waiting)
        else:
            check_credentials(credentials)
            source = BotocoreSource(lambda: credentials, self._waiting)
        self._sources.add(source)
        return source

    async def _connect(self, settings: Settings) -> Shared:
        router = Router(self._service, settings, self._waiting)
        transport = Transport(
            session=self._session,
            max_connections=self._max_connections,
            ca_bundle=settings.ca_bundle,
            url=router.endpoint.url,
            executor=self._waiting,
        )
        await transport.open()
        return Shared(
            service=self._service,
            serde=_serde(self._service),
            router=router,
            compressed_from=settings.compressed_from,
            transport=transport,
            limits=RateLimits(self._rates),
            executor=self._workers,
            hints=self._hints,
        )

    def _find_credentials(self) -> BotocoreCredentials | None:
        session = botocore_session(self._arguments.profile)
        # Roles are assumed somewhere: where nothing else is configured, in the client's own region.
        if session.get_config_variable("region") is None:
            session.set_config_variable("region", self.opened_settings().region)
        hide_empty_variables(session)
        return session.get_credentials()


def _worker_count() -> int:
    return max(2, min(4, os.cpu_count() or 2))


# A service's tables are built once and live as long as the process, and so does what is made of them.
@functools.cache
def _serde(service: Service) -> Serde:
    return Serde(service)
