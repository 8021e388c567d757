"""Hooks: objects of the user's that are told about every attempt.

A hook has any of four coroutine methods, each a protocol of its own here; what one raises ends the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from aioecrpublic._common.errors import ECRPublicError
    from aioecrpublic._runtime.shapes import Operation, Response


@attrs.define(kw_only=True)
class SendEvent:
    """An attempt that is about to be signed and sent.

    Attributes:
        operation: The operation's name in the model.
        request: The request object.
        attempt: 1 for the first.
        url: Where it goes.
        headers: The headers so far, by their names in any case; what is added or changed here is sent.
    """

    operation: str
    request: object = attrs.field(repr=False)
    attempt: int
    url: str
    headers: MutableMapping[str, str]


@attrs.frozen(kw_only=True)
class ResponseEvent:
    """A call that succeeded.

    Attributes:
        operation: The operation's name in the model.
        request: The request object.
        response: The response object; its ``metadata`` has the request id and the attempts.
        elapsed: Seconds from the first attempt to the parsed response, waits between attempts included.
    """

    operation: str
    request: object = attrs.field(repr=False)
    response: Response = attrs.field(repr=False)
    elapsed: float


@attrs.frozen(kw_only=True)
class RetryEvent:
    """An attempt that failed and will be followed by another.

    Attributes:
        operation: The operation's name in the model.
        request: The request object.
        attempt: The attempt that failed, 1 for the first.
        error: Why.
        delay: Seconds until the next.
    """

    operation: str
    request: object = attrs.field(repr=False)
    attempt: int
    error: ECRPublicError
    delay: float


@attrs.frozen(kw_only=True)
class ErrorEvent:
    """A call that failed for good.

    Attributes:
        operation: The operation's name in the model.
        request: The request object.
        error: What the caller gets.
        elapsed: Seconds from the first attempt on.
    """

    operation: str
    request: object = attrs.field(repr=False)
    error: ECRPublicError
    elapsed: float


@runtime_checkable
class BeforeSend(Protocol):
    """A hook with ``before_send``."""

    async def before_send(self, event: SendEvent, /) -> None:
        """Called before each attempt is signed."""
        ...


@runtime_checkable
class AfterResponse(Protocol):
    """A hook with ``after_response``."""

    async def after_response(self, event: ResponseEvent, /) -> None:
        """Called once for a call that succeeded."""
        ...


@runtime_checkable
class OnRetry(Protocol):
    """A hook with ``on_retry``."""

    async def on_retry(self, event: RetryEvent, /) -> None:
        """Called before the wait for the next attempt."""
        ...


@runtime_checkable
class OnError(Protocol):
    """A hook with ``on_error``."""

    async def on_error(self, event: ErrorEvent, /) -> None:
        """Called once for a call that failed."""
        ...


Hook: TypeAlias = BeforeSend | AfterResponse | OnRetry | OnError


@attrs.frozen
class HookSet:
    """The hooks of a client, sorted by what they want to be told."""

    before_send: tuple[BeforeSend, ...] = ()
    after_response: tuple[AfterResponse, ...] = ()
    on_retry: tuple[OnRetry, ...] = ()
    on_error: tuple[OnError, ...] = ()

    @classmethod
    def of(cls, hooks: tuple[Hook, ...]) -> HookSet:
        """Sort ``hooks``.

        Raises:
            TypeError: One of them has none of the four methods.
        """
        for hook in hooks:
            if not isinstance(hook, BeforeSend | AfterResponse | OnRetry | OnError):
                raise TypeError(
                    f"hooks: {type(hook).__name__} has none of "
                    "before_send, after_response, on_retry and on_error"
                )
        return cls(
            tuple(hook for hook in hooks if isinstance(hook, BeforeSend)),
            tuple(hook for hook in hooks if isinstance(hook, AfterResponse)),
            tuple(hook for hook in hooks if isinstance(hook, OnRetry)),
            tuple(hook for hook in hooks if isinstance(hook, OnError)),
        )

    async def tell_before_send(self, event: SendEvent) -> None:
        """Tell those that want to know."""
        for hook in self.before_send:
            await hook.before_send(event)

    async def tell_retry(self, event: RetryEvent) -> None:
        """Tell those that want to know."""
        for hook in self.on_retry:
            await hook.on_retry(event)

    async def tell_response(
        self, operation: Operation[Any, Any], request: object, response: Response, elapsed: float
    ) -> None:
        """Tell those that want to know."""
        if self.after_response:
            event = ResponseEvent(
                operation=operation.name, request=request, response=response, elapsed=elapsed
            )
            for hook in self.after_response:
                await hook.after_response(event)

    async def tell_error(
        self, operation: Operation[Any, Any], request: object, error: ECRPublicError, elapsed: float
    ) -> None:
        """Tell those that want to know."""
        if self.on_error:
            event = ErrorEvent(operation=operation.name, request=request, error=error, elapsed=elapsed)
            for hook in self.on_error:
                await hook.on_error(event)
