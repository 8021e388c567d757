"""Credentials: given ones, or botocore's whole chain, found and refreshed off the event loop."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from aioecrpublic._runtime.environment import configured_secrets, missing_files
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


_NO_CREDENTIALS: Final = (
    "no credentials found: pass credentials=, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, configure a "
    "profile, or use anonymous=True"
)
_LOADING_TIMEOUT: Final = 60.0
_VARIABLES = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}


def _is_text(field: attrs.Attribute[Any], value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{field.name} must be a str (got {type(value).__name__})")
    if not value:
        raise ConfigurationError(f"{field.name} must not be empty")
    return value


def _fits_a_header(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what would end in the HTTP client, such as the line break at the end of a file."""
    text = _is_text(field, value)
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ConfigurationError(f"{field.name} has white space or other characters that no header can have")


def _is_secret(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what would end in a wrong signature, such as the line break at the end of a file."""
    text = _is_text(field, value)
    if not text.isprintable() or text != text.strip():
        raise ConfigurationError(
            f"{field.name} has a control character such as a line break, or a blank at an end"
        )


def _none_if_empty(token: str | None) -> str | None:
    return token or None


@attrs.frozen
class Credentials:
    """An access key, its secret, and the session token of temporary credentials.

    Attributes:
        access_key_id: The access key's id.
        secret_access_key: The secret; never shown by ``repr``.
        session_token: The session token of temporary credentials, if they are such; never shown by ``repr``.

    Raises:
        ConfigurationError: One of them is not a string, or has characters in it that none has, such as the
            line break at the end of a file.
    """

    access_key_id: str = attrs.field(validator=_fits_a_header)
    secret_access_key: str = attrs.field(repr=show_secret, validator=_is_secret)
    session_token: str | None = attrs.field(
        default=None,
        converter=_none_if_empty,
        repr=show_secret,
        validator=attrs.validators.optional(_fits_a_header),
    )


class CredentialSource(Protocol):
    """Where the signer takes credentials from, before each attempt."""

    def ready(self) -> Credentials | None:
        """Credentials that are good now, if there are any without waiting."""
        ...

    async def get(self, limit: float) -> Credentials:
        """Credentials that are good now, waited for no longer than ``limit`` seconds."""
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

    async def get(self, limit: float) -> Credentials:  # noqa: ARG002 - there is nothing to wait for
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
        self._library_loaded = False

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

    async def get(self, limit: float) -> Credentials:
        """Credentials that are good now.

        A provider that has not answered within ``limit`` seconds, such as a helper program that hangs, goes
        on in its thread; the next call waits for it again.

        Raises:
            CredentialsError: There are none, they cannot be refreshed, or it takes too long.
            ClientStateError: The client was closed meanwhile.
        """
        return self.ready() or await self._fetch(limit)

    def close(self) -> None:
        """Let those who wait go; a thread that runs ends by itself."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _fetch(self, limit: float) -> Credentials:
        if not self._library_loaded:
            await self._load_library()
        fetching = self._fetching or self._start()
        try:
            # Waited for and not awaited: one caller's cancellation is not the others'.
            await asyncio.wait([fetching], timeout=limit)
        finally:
            fetching.add_done_callback(_observe)
        if not fetching.done():
            raise CredentialsError(f"credentials were not obtained within {limit:g} s")
        if fetching.cancelled():
            raise ClientStateError("the client was closed during the call")
        return fetching.result().credentials

    async def _load_library(self) -> None:
        """Load botocore before the clock runs: that takes its time, but waits for nobody."""
        loading = in_thread(self._executor, importlib.import_module, "botocore.session")
        loading.add_done_callback(_observe)
        done, _ = await asyncio.wait([loading], timeout=_LOADING_TIMEOUT)
        self._library_loaded = bool(done)

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
            from aioecrpublic._common.masking import Mask

            Mask(configured_secrets()).clean(error)
            raise CredentialsError(f"credentials cannot be obtained: {error}") from error
        if found is None or frozen is None or frozen.access_key is None or frozen.secret_key is None:
            raise NoCredentialsError("; ".join([_NO_CREDENTIALS, *missing_files()]))
        try:
            credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        except ConfigurationError as error:
            origin = _origin(getattr(found, "method", None), str(error))
            raise CredentialsError(f"the credentials found cannot be used: {error} ({origin})") from error
        self._found = found
        return _Loaded(frozen, credentials)


def _origin(method: str | None, problem: str) -> str:
    """Where botocore has found what cannot be used."""
    if method == "env":
        return _VARIABLES[problem.partition(" ")[0]]
    return f"found by {method}" if method else "given as an object of botocore's"


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


def _observe(future: asyncio.Future[Any]) -> None:
    # Nobody waits for it: a failure shows when credentials are needed again.
    if not future.cancelled():
        future.exception()
