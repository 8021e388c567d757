"""The errors every service shares.

::

    ECRPublicError
    ├── ConfigurationError      an argument, variable or file that cannot be used
    ├── ClientStateError        a client used before it was opened or after it was closed
    ├── ValidationError         a request the model forbids; nothing was sent
    ├── CredentialsError        no credentials, or they cannot be refreshed
    │   └── NoCredentialsError  none are configured anywhere
    ├── TransportError          no reply, or one that is not a reply
    │   ├── ConnectError        no connection
    │   ├── TimeoutError        no answer in time
    │   └── BrokenReplyError    cut short, or not what the protocol says
    ├── WaiterError             what was waited for did not come in time
    ├── ServiceError            the service said no
    │   └── …                   every modelled exception, by the model's name
    ├── ImageError              an image that cannot be read as it says it is
    └── PushError               a push that could not be finished
"""

from __future__ import annotations

import builtins
from typing import ClassVar

from aioecrpublic._common.errors import ECRPublicError


class ConfigurationError(ECRPublicError):
    """An argument, an environment variable or a configuration file that cannot be used."""


class ClientStateError(ECRPublicError, RuntimeError):
    """A client used before it was opened or after it was closed."""


class ValidationError(ECRPublicError, ValueError):
    """A request that the service model forbids; nothing was sent.

    Attributes:
        problems: One line for each member that is wrong, each beginning with its path.
    """

    def __init__(self, operation: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(operation, problems)
        self.problems = problems

    def _describe(self) -> str:
        operation, problems = self.args
        return f"{operation}: {'; '.join(problems)}" if problems else str(operation)


class CredentialsError(ECRPublicError):
    """No credentials were found, or the ones found cannot be used or refreshed."""


class NoCredentialsError(CredentialsError):
    """No credentials are configured in any of the places where they are looked for."""


class TransportError(ECRPublicError):
    """No reply from the service, or one that is not a reply.

    Attributes:
        operation: The operation that was called.
        attempts: How many requests were sent.
        retry_delay: Seconds spent waiting between attempts, in total.
        status: The HTTP status, if a reply had begun.
        request_id: The service's id of the request, if a reply had begun.
        transient: Whether the same request may succeed later; not so for a certificate that is refused.
    """

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.operation: str | None = None
        self.attempts = 0
        self.retry_delay: float = 0.0
        self.status = status
        self.request_id = request_id
        self.transient = True


class ConnectError(TransportError):
    """No connection could be made, or it broke before the reply began."""


class TimeoutError(TransportError, builtins.TimeoutError):  # noqa: A001 - the name says it; the builtin is its base
    """No connection within ``connect_timeout``, or no data within ``read_timeout``."""


class BrokenReplyError(TransportError):
    """A reply that was cut short or that is not what the protocol says."""


class WaiterError(ECRPublicError, builtins.TimeoutError):
    """What was waited for did not come within the timeout."""


class ServiceError(ECRPublicError):
    """An error that the service answered; the modelled ones are subclasses.

    Attributes:
        code: The error's code, such as ``RepositoryNotFoundException``.
        message: What the service says about it.
        operation: The operation that was called.
        request_id: The service's id of the request.
        status: The HTTP status.
        retryable: Whether the same request may succeed later.
        throttling: Whether the service asks to slow down.
        attempts: How many requests were sent.
        retry_delay: Seconds spent waiting between attempts, in total.
    """

    default_code: ClassVar[str] = "ServiceError"
    default_status: ClassVar[int] = 400
    # What the model or its overlay says of it; None leaves it to the code and the status.
    modelled_retryable: ClassVar[bool | None] = None
    modelled_throttling: ClassVar[bool] = False
    members: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        operation: str | None = None,
        request_id: str | None = None,
        status: int | None = None,
        **members: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: str = code or self.default_code
        self.operation = operation
        self.request_id = request_id
        self.status: int = self.default_status if status is None else status
        self.retryable = False
        self.throttling = False
        self.attempts = 0
        self.retry_delay: float = 0.0
        for name, value in members.items():
            if name not in self.members:
                raise TypeError(f"{type(self).__name__} has no member {name!r}")
            setattr(self, name, value)

    def _describe(self) -> str:
        """Code, operation, message, and what is needed to follow it up."""
        head = f"{self.code} ({self.operation})" if self.operation else self.code
        facts = [f"status {self.status}"]
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        if self.attempts > 1:
            facts.append(f"{self.attempts} attempts")
        return (
            f"{head}: {self.message} [{', '.join(facts)}]" if self.message else f"{head} [{', '.join(facts)}]"
        )
