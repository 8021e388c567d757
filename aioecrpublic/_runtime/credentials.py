"""Credentials: given ones, or botocore's whole chain, found and refreshed off the event loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from aioecrpublic._runtime.errors import (
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    NoCredentialsError,
)
from aioecrpublic._runtime.redact import show_secret
from aioecrpublic._runtime.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from botocore.credentials import Credentials as BotocoreCredentials
    from botocore.credentials import ReadOnlyCredentials


def _fits_a_header(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what would end in the HTTP client, such as the line break at the end of a file."""
    if not isinstance(value, str):
        raise TypeError(f"{field.name} is {type(value).__name__}, not str")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ConfigurationError(f"{field.name} has white space or other characters that no header can have")


@attrs.frozen
class Credentials:
    """An access key, its secret, and the session token of temporary credentials.

    Attributes:
        access_key_id: The access key's id.
        secret_access_key: The secret; never shown by ``repr``.
        session_token: The session token of temporary credentials; never shown by ``repr``.

    Raises:
        ConfigurationError: The id or the token cannot be sent.
        TypeError: One of them is not a string.
    """

    access_key_id: str = attrs.field(validator=_fits_a_header)
    secret_access_key: str = attrs.field(repr=show_secret, validator=attrs.validators.instance_of(str))
    session_token: str | None = attrs.field(
        default=None, repr=show_secret, validator=attrs.validators.optional(_fits_a_header)
    )


class CredentialSource(Protocol):
    """Where the signer takes credentials from, before each attempt."""

    def ready(self) -> Credentials | None:
        """Credentials that are good now, if there are any without waiting."""
        ...

    async def get(self) -> Credentials:
        """Credentials that are good now."""
        ...

    def close(self) -> None:
        """Wait for nothing any more."""
        ...


@attrs.frozen
class StaticSource:
    """Credentials that never change."""

    credentials: Credentials

    def ready(self) -> Credentials:
        """The credentials."""
        return self.credentials

    async def get(self) -> Credentials:
        """The credentials."""
        return self.credentials

    def close(self) -> None:
        """There is nothing to close."""


@attrs.frozen
class _Loaded:
    """Credentials, and what botocore's object gave for them."""

    frozen: ReadOnlyCredentials = attrs.field(repr=False)
    credentials: Credentials


class BotocoreSource:
    """A botocore credentials object, resolved on first use and refreshed in a worker thread.

    However many calls wait, one thread resolves or refreshes. In botocore's advisory window (the last fifteen
    minutes) calls go on with what there is while the refresh runs; in the mandatory one they wait for it.

    Args:
        resolve: Finds the credentials object; called in a worker thread until it has found one.
        executor: The worker threads.
    """

    def __init__(self, resolve: Callable[[], BotocoreCredentials | None], executor: Executor) -> None:
        self._resolve = resolve
        self._executor = executor
        self._found: BotocoreCredentials | None = None
        self._current: _Loaded | None = None
        self._fetching: asyncio.Future[_Loaded] | None = None

    def ready(self) -> Credentials | None:
        """Credentials that are good now, if there are any without waiting."""
        found, current = self._found, self._current
        if found is None or current is None:
            return None
        from botocore.credentials import Credentials as StaticCredentials
        from botocore.credentials import RefreshableCredentials

        if type(found) is StaticCredentials:
            return current.credentials
        # What is of the user's own making alone knows how long it holds.
        if not isinstance(found, RefreshableCredentials):
            return None
        if found.refresh_needed(found._mandatory_refresh_timeout):  # noqa: SLF001 - botocore has no public word
            return None
        # Another client, of boto3 perhaps, has the same object and has refreshed it.
        if found._frozen_credentials != current.frozen:  # noqa: SLF001 - asking for it in public may refresh here
            return None
        if self._fetching is None and found.refresh_needed():
            self._start().add_done_callback(_observe)
        return current.credentials

    async def get(self) -> Credentials:
        """Credentials that are good now.

        Raises:
            CredentialsError: There are none, or they cannot be refreshed.
            ClientStateError: The client was closed meanwhile.
        """
        return self.ready() or await self._fetch()

    def close(self) -> None:
        """Let those who wait go; a thread that runs ends by itself."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _fetch(self) -> Credentials:
        fetching = self._fetching or self._start()
        try:
            # Shielded: one caller's cancellation is not the others'.
            return (await asyncio.shield(fetching)).credentials
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if fetching.cancelled() and (task is None or not task.cancelling()):
                raise ClientStateError("the client was closed during the call") from None
            if fetching.done() and not fetching.cancelled():
                fetching.exception()
            else:
                fetching.add_done_callback(_observe)
            raise

    def _start(self) -> asyncio.Future[_Loaded]:
        future = in_thread(self._executor, self._load)
        self._fetching = future
        future.add_done_callback(self._settle)
        return future

    def _settle(self, future: asyncio.Future[_Loaded]) -> None:
        self._fetching = None
        if not future.cancelled() and future.exception() is None:
            self._current = future.result()

    def _load(self) -> _Loaded:
        try:
            found = self._found or self._resolve()
            frozen = found.get_frozen_credentials() if found else None
        except CredentialsError:
            raise
        except Exception as error:
            # Providers raise whatever their sources do: BotoCoreError, ClientError, RuntimeError, ...
            raise CredentialsError(f"credentials cannot be obtained: {error}") from error
        if found is None or frozen is None or frozen.access_key is None or frozen.secret_key is None:
            raise NoCredentialsError(
                "no credentials found: pass credentials=, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "configure a profile, or use anonymous=True"
            )
        try:
            credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        except (ConfigurationError, TypeError) as error:
            raise CredentialsError(f"the credentials found cannot be used: {error}") from error
        self._found = found
        return _Loaded(frozen, credentials)


def check_credentials(credentials: object) -> None:
    """Refuse what is no botocore credentials object.

    Raises:
        ConfigurationError: It is something else, or aiobotocore's, whose credentials are coroutines.
    """
    get = getattr(credentials, "get_frozen_credentials", None)
    if get is None or inspect.iscoroutinefunction(get):
        raise ConfigurationError(
            f"credentials is {type(credentials).__module__}.{type(credentials).__name__}, "
            "not Credentials or a botocore credentials object"
        )


def _observe(future: asyncio.Future[_Loaded]) -> None:
    # Nobody waits for it: a failure shows when credentials are needed again.
    if not future.cancelled():
        future.exception()
