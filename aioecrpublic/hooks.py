"""What hooks are and what they are told: the public face of ``ECRPublicClient(hooks=…)``."""

from aioecrpublic._runtime.hooks import (
    AfterResponse,
    BeforeSend,
    ErrorEvent,
    Hook,
    OnError,
    OnRetry,
    ResponseEvent,
    RetryEvent,
    SendEvent,
)

__all__ = [
    "AfterResponse",
    "BeforeSend",
    "ErrorEvent",
    "Hook",
    "OnError",
    "OnRetry",
    "ResponseEvent",
    "RetryEvent",
    "SendEvent",
]
