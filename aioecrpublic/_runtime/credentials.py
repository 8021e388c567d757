"""Credentials: given ones, or botocore's whole chain, found and refreshed off the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import attrs

from aioecrpublic._runtime.errors import CredentialsError
from aioecrpublic._runtime.redact import show_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from botocore.credentials import Credentials as BotocoreCredentials


@attrs.frozen
class Credentials:
    """An access key, its secret, and the session token of temporary credentials.

    Attributes:
        access_key_id: The access key's id.
        secret_access_key: The secret; never shown by ``repr``.
        session_token: The session token of temporary credentials; never shown by ``repr``.
    """

    access_key_id: str = attrs.field(validator=attrs.validators.instance_of(str))
    secret_access_key: str = attrs.field(repr=show_secret, validator=attrs.validators.instance_of(str))
    session_token: str | None = attrs.field(default=None, repr=show_secret)


class CredentialSource(Protocol):
    """Where the signer takes credentials from, before each attempt."""

    async def get(self) -> Credentials:
        """Credentials that are good now."""
        ...


@attrs.frozen
class StaticSource:
    """Credentials that never change."""

    credentials: Credentials

    async def get(self) -> Credentials:
        """The credentials."""
        return self.credentials


class BotocoreSource:
    """A botocore credentials object, resolved on first use and refreshed in a worker thread.

    However many calls wait, one thread resolves or refreshes. In botocore's advisory window (the last fifteen
    minutes) calls go on with what there is while the refresh runs; in the mandatory one they wait for it.

    Args:
        resolve: Finds the credentials object; called once, in a worker thread.
        executor: The worker threads.
    """

    def __init__(self, resolve: Callable[[], BotocoreCredentials | None], executor: Executor) -> None:
        self._resolve = resolve
        self._executor = executor
        self._found: BotocoreCredentials | None = None
        self._current: Credentials | None = None
        self._fetching: asyncio.Future[Credentials] | None = None

    async def get(self) -> Credentials:
        """Credentials that are good now.

        Raises:
            CredentialsError: There are none, or they cannot be refreshed.
        """
        found, current = self._found, self._current
        if found is None or current is None:
            return await self._fetch()
        if not hasattr(found, "refresh_needed"):
            return current
        if found.refresh_needed(found._mandatory_refresh_timeout):  # noqa: SLF001 - botocore has no public word for it
            return await self._fetch()
        if found.refresh_needed() and self._fetching is None:
            self._start().add_done_callback(_observe)
        return current

    async def _fetch(self) -> Credentials:
        # Shielded: one caller's cancellation is not the others'.
        return await asyncio.shield(self._fetching or self._start())

    def _start(self) -> asyncio.Future[Credentials]:
        future = asyncio.ensure_future(self._refresh())
        self._fetching = future
        future.add_done_callback(self._settle)
        return future

    async def _refresh(self) -> Credentials:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._load)

    def _settle(self, future: asyncio.Future[Credentials]) -> None:
        self._fetching = None
        if not future.cancelled() and future.exception() is None:
            self._current = future.result()

    def _load(self) -> Credentials:
        from botocore.exceptions import BotoCoreError

        try:
            found = self._found or self._resolve()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as error:
            raise CredentialsError(f"credentials cannot be obtained: {error}") from error
        if found is None or frozen is None or frozen.access_key is None or frozen.secret_key is None:
            raise CredentialsError(
                "no credentials found: pass credentials=, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "configure a profile, or use anonymous=True"
            )
        self._found = found
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def _observe(future: asyncio.Future[Credentials]) -> None:
    # A failed early refresh is not an error yet: the credentials at hand still hold.
    if not future.cancelled():
        future.exception()
