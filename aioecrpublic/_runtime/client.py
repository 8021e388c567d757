"""The part of a client that every service shares: opening, closing, deriving, calling."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import attrs

from aioecrpublic._common.http import Timeouts
from aioecrpublic._runtime.arguments import check_count, check_flag, check_positive, check_session, check_text
from aioecrpublic._runtime.call import Call, CallOptions
from aioecrpublic._runtime.config import Arguments, check_retries
from aioecrpublic._runtime.core import Core
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic._runtime.hooks import Hook, HookSet
from aioecrpublic._runtime.paginate import Paginator
from aioecrpublic._runtime.useragent import user_agent

if TYPE_CHECKING:
    import datetime as dt

    import aiohttp
    from botocore.credentials import Credentials as BotocoreCredentials

    from aioecrpublic._runtime.credentials import Credentials, CredentialSource
    from aioecrpublic._runtime.shapes import Operation, Request, RequestT, ResponseT, Service
    from aioecrpublic._runtime.validate import Hint

DEFAULT_MAX_CONNECTIONS: Final = 64
# Seconds; it is files that are read, which a file server may hold back.
_OPENING_TIMEOUT: Final = 60.0


@attrs.frozen(kw_only=True)
class _Options:
    """What ``with_options`` can change."""

    credentials: CredentialSource | None
    anonymous: bool
    max_attempts: int | None
    retry_mode: str | None
    connect_timeout: float
    read_timeout: float
    validate: bool
    hooks: HookSet
    user_agent_extra: str | None


class BaseClient:
    """An async client of one service; the generated operations are added to it.

    Use it as an async context manager, or call ``open`` and ``close``. It may be used by any number of tasks
    of one event loop.
    """

    service: ClassVar[Service]
    hints: ClassVar[Mapping[str, Hint]] = {}

    def __init__(
        self,
        region: str | None = None,
        endpoint_url: str | None = None,
        credentials: Credentials | BotocoreCredentials | None = None,
        *,
        profile: str | None = None,
        anonymous: bool = False,
        api_version: str | None = None,
        max_attempts: int | None = None,
        retry_mode: str | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        session: aiohttp.ClientSession | None = None,
        use_fips: bool | None = None,
        use_dualstack: bool | None = None,
        validate: bool = True,
        hooks: Sequence[Hook] = (),
        user_agent_extra: str | None = None,
        rate_limits: bool | Mapping[str, float | None] = True,
    ) -> None:
        """Check the arguments; nothing is read or sent before the client is opened.

        Args:
            region: The region; ``None`` is the configured one if the service is there, else the service's
                first.
            endpoint_url: Where requests go; ``None`` is ``AWS_ENDPOINT_URL_<SERVICE>``, ``AWS_ENDPOINT_URL``,
                the profile's ``services`` section, or else the service's own endpoint.
            credentials: ``Credentials``, a botocore credentials object, or ``None`` for botocore's whole
                chain, which is followed on the first signed call and may take both timeouts together.
            profile: The profile in the shared files; ``None`` is ``AWS_PROFILE`` or the default one.
            anonymous: Send unsigned requests.
            api_version: The version of the API; there is one.
            max_attempts: Attempts of a call, the first included; ``None`` is the configured number, or 3.
            retry_mode: ``standard`` or ``adaptive``; ``None`` is the configured one, or standard.
            connect_timeout: Seconds for a connection to be made: from the resolution of the name, over a
                proxy's tunnel, to the end of the TLS handshake.
            read_timeout: Seconds in which the service has to take the next slice of a request, to begin its
                reply (interim replies do not count), and to go on with it: at 1 KiB a second on average.
            max_connections: How many connections may be open at once. A call waits for one as long as others
                give theirs back within ``read_timeout``.
            session: Your own ``aiohttp.ClientSession``: used, never closed. Its connector's settings hold, so
                ``max_connections`` and CA bundles do not apply, and a wait for its pool is one for a
                connection; a proxy of the environment does apply.
            use_fips: Use the FIPS endpoint; ``None`` is the configured choice, or no.
            use_dualstack: Use the dual-stack endpoint; ``None`` is the configured choice, or no.
            validate: Check requests against the model before anything is sent.
            hooks: Objects that are told about every attempt; see ``aioecrpublic.Hook``.
            user_agent_extra: Words to add to the ``User-Agent`` header.
            rate_limits: ``True`` paces the operations whose quotas are published, ``False`` none; a mapping
                from operation names to calls per second changes single ones, and ``None`` there takes the
                limit off. Derived clients share the pace.

        Raises:
            ConfigurationError: An argument cannot be used.
        """
        self._check_api_version(api_version)
        if anonymous and credentials is not None:
            raise ConfigurationError("anonymous=True and credentials exclude each other")
        check_retries(max_attempts, retry_mode)
        check_session(session)
        for name, text in (
            ("region", region),
            ("endpoint_url", endpoint_url),
            ("profile", profile),
            ("user_agent_extra", user_agent_extra),
        ):
            check_text(name, text)
        for name, flag in (("use_fips", use_fips), ("use_dualstack", use_dualstack)):
            check_flag(name, flag)
        arguments = Arguments(
            region=region,
            endpoint_url=endpoint_url,
            profile=profile,
            use_fips=use_fips,
            use_dualstack=use_dualstack,
            max_attempts=max_attempts,
            retry_mode=retry_mode,
            identity=anonymous or credentials is not None,
        )
        self._core = Core(
            self.service,
            self.hints,
            arguments,
            session=session,
            max_connections=check_count("max_connections", max_connections),
            rates=self._rates(rate_limits),
        )
        self._owner = True
        self._options = _Options(
            credentials=self._core.source(credentials),
            anonymous=anonymous,
            max_attempts=max_attempts,
            retry_mode=retry_mode,
            connect_timeout=check_positive("connect_timeout", connect_timeout),
            read_timeout=check_positive("read_timeout", read_timeout),
            validate=validate,
            hooks=_hook_set(hooks),
            user_agent_extra=user_agent_extra,
        )
        self._call_options: CallOptions | None = None

    async def open(self) -> Self:
        """Read the configuration and make the connection pool; nothing is sent.

        Raises:
            ConfigurationError: Something in the configuration cannot be used.
            ClientStateError: The client was closed.
        """
        if not self._owner:
            self._core.opened()
            return self
        try:
            async with asyncio.timeout(_OPENING_TIMEOUT):
                await self._core.open()
        except TimeoutError as error:
            message = f"the configuration was not read within {_OPENING_TIMEOUT:g} s"
            raise ConfigurationError(message) from error
        return self

    async def close(self) -> None:
        """Close the connections, unless they belong to the client that this one was derived from.

        Calls that are under way end with an error; closing again does nothing.
        """
        if self._owner:
            await self._core.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.describe()}>"

    @property
    def endpoint_url(self) -> str:
        """Where requests go; known once the client is open."""
        return self._core.opened_settings().endpoint_url

    @property
    def region(self) -> str:
        """The region that is signed for; known once the client is open."""
        return self._core.opened_settings().region

    @property
    def api_version(self) -> str:
        """The version of the service's API."""
        return self.service.api_version

    def service_time(self) -> dt.datetime | None:
        """Return the time by the service's clock, in UTC; this machine's clock has no part in it.

        The ``Date`` header of the last successful reply tells it, and the seconds since are counted. It is up
        to a second and the reply's way early, and never late.

        Returns:
            The time; ``None`` while no reply has told it.

        Raises:
            ClientStateError: The client is not open.
        """
        return self._core.opened().clock.now()

    def with_options(
        self,
        *,
        credentials: Credentials | BotocoreCredentials | None = None,
        anonymous: bool | None = None,
        max_attempts: int | None = None,
        retry_mode: str | None = None,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        validate: bool | None = None,
        hooks: Sequence[Hook] | None = None,
        user_agent_extra: str | None = None,
    ) -> Self:
        """A client that shares this one's connections, pace and retry quota but has options of its own.

        What is ``None`` stays as it is. The derived client closes nothing, and ends with this one.

        Raises:
            ConfigurationError: An argument cannot be used.
        """
        if anonymous and credentials is not None:
            raise ConfigurationError("anonymous=True and credentials exclude each other")
        check_retries(max_attempts, retry_mode)
        check_text("user_agent_extra", user_agent_extra)
        changes: dict[str, Any] = {
            "anonymous": False if credentials is not None else anonymous,
            "max_attempts": max_attempts,
            "retry_mode": retry_mode,
            "connect_timeout": None
            if connect_timeout is None
            else check_positive("connect_timeout", connect_timeout),
            "read_timeout": None if read_timeout is None else check_positive("read_timeout", read_timeout),
            "validate": validate,
            "hooks": None if hooks is None else _hook_set(hooks),
            "user_agent_extra": user_agent_extra,
        }
        if credentials is not None:
            changes["credentials"] = self._core.source(credentials)
        derived = object.__new__(type(self))
        derived._core = self._core
        derived._owner = False
        derived._options = attrs.evolve(
            self._options, **{name: value for name, value in changes.items() if value is not None}
        )
        derived._call_options = None
        return derived

    async def send(self, request: Request[ResponseT]) -> ResponseT:
        """Call the operation that ``request`` belongs to.

        Raises:
            TypeError: It is not a request of this service.
            ECRPublicError: As the operation's own method.
        """
        operation = _by_request(self.service).get(type(request))
        if operation is None:
            raise TypeError(f"{type(request).__name__} is not a request of {self.service.service_id}")
        response: ResponseT = await self._call(operation, request)
        return response

    def _call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> Awaitable[ResponseT]:
        # Not a coroutine function itself: one layer less for every call.
        return self._new_call(operation, request).make()

    def _new_call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> Call:
        """A call that can be prepared before it is made."""
        shared = self._core.opened()
        if self._call_options is None:
            self._call_options = self._resolve_options()
        return Call(shared, self._call_options, operation, request)

    def _paginate(
        self, operation: Operation[RequestT, ResponseT], request: RequestT
    ) -> Paginator[ResponseT, Any]:
        return Paginator(self._call, operation, request)

    def _resolve_options(self) -> CallOptions:
        settings, options = self._core.opened_settings(), self._options
        retry_mode = options.retry_mode or settings.retry_mode
        return CallOptions(
            credentials=None if options.anonymous else options.credentials,
            max_attempts=options.max_attempts or settings.max_attempts,
            adaptive=retry_mode == "adaptive",
            timeouts=Timeouts(options.connect_timeout, options.read_timeout),
            validate=options.validate,
            hooks=options.hooks,
            user_agent=user_agent(
                self.service.service_id,
                self.service.api_version,
                retry_mode,
                settings.app_id,
                options.user_agent_extra,
            ),
        )

    def _check_api_version(self, api_version: str | None) -> None:
        check_text("api_version", api_version)
        known = self.service.api_version
        if api_version is not None and api_version != known:
            raise ConfigurationError(f"api_version {api_version!r} is not known; known: {known}")

    def _rates(self, chosen: bool | Mapping[str, float | None]) -> dict[str, float]:  # noqa: FBT001 - the argument
        """The published quotas, and what was chosen instead."""
        operations = self.service.operations
        if not isinstance(chosen, Mapping):
            check_flag("rate_limits", chosen)
            chosen = {} if chosen else dict.fromkeys(operations)
        rates = {name: operation.quota for name, operation in operations.items()} | dict(chosen)
        for name, rate in chosen.items():
            if name not in operations:
                raise ConfigurationError(
                    f"rate_limits: {name!r} is not an operation of {self.service.service_id}"
                )
            if rate is not None:
                check_positive(f"rate_limits[{name!r}]", rate)
        return {name: rate for name, rate in rates.items() if rate is not None}


def _hook_set(hooks: Sequence[Hook]) -> HookSet:
    try:
        return HookSet.of(tuple(hooks))
    except TypeError as error:
        raise ConfigurationError(str(error)) from error


# A service's tables live as long as the process, and so does what is made of them.
@functools.cache
def _by_request(service: Service) -> dict[type, Operation[Any, Any]]:
    return {operation.request: operation for operation in service.operations.values()}
