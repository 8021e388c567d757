"""One call from request to response: encode, pace, sign, send, read, and again if that may help."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import TYPE_CHECKING, Any

import attrs
from multidict import CIMultiDict

from aioecrpublic._common.dates import http_date
from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._common.logs import get_logger
from aioecrpublic._runtime.arguments import check_headers
from aioecrpublic._runtime.body import BlobError
from aioecrpublic._runtime.clock import ServiceClock
from aioecrpublic._runtime.errors import ServiceError, TransportError, ValidationError
from aioecrpublic._runtime.hooks import HookSet, RetryEvent, SendEvent
from aioecrpublic._runtime.reply import read_error, read_response, request_id
from aioecrpublic._runtime.retry import (
    CLOCK_CODES,
    AdaptiveRate,
    RetryQuota,
    Verdict,
    asked_delay,
    backoff,
    judge,
)
from aioecrpublic._runtime.serde import SerdeError
from aioecrpublic._runtime.shapes import ResponseMetadata
from aioecrpublic._runtime.signing import CanonicalHeaders, amz_date
from aioecrpublic._runtime.threads import in_thread
from aioecrpublic._runtime.validate import check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Executor

    from aioecrpublic._common.http import Timeouts
    from aioecrpublic._runtime.body import Body
    from aioecrpublic._runtime.credentials import Credentials, CredentialSource
    from aioecrpublic._runtime.limits import RateLimits
    from aioecrpublic._runtime.routing import Route, Router
    from aioecrpublic._runtime.serde import Serde
    from aioecrpublic._runtime.shapes import Operation, ResponseT, Service, Traits
    from aioecrpublic._runtime.transport import Reply, Transport
    from aioecrpublic._runtime.validate import Hint

_log = get_logger("aioecrpublic.call")
_OK = range(200, 300)
_NODE_DIGITS = 12
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html: five are allowed.
_SKEW_ALLOWED = 4 * 60.0
# They may change on the way, or name the attempt; botocore signs none of them either.
_UNSIGNED = frozenset({
    "amz-sdk-invocation-id", "amz-sdk-request", "connection", "content-length", "expect", "transfer-encoding",
    "user-agent", "x-amzn-trace-id",
})  # fmt: skip


@attrs.define(kw_only=True)
class Shared:
    """What all calls of a client, and of those derived from it, have in common."""

    service: Service
    serde: Serde
    router: Router
    compressed_from: int | None
    transport: Transport
    limits: RateLimits
    executor: Executor
    hints: Mapping[str, Hint]
    quota: RetryQuota = attrs.field(factory=RetryQuota)
    adaptive: AdaptiveRate = attrs.field(factory=AdaptiveRate)
    clock: ServiceClock = attrs.field(factory=ServiceClock)
    # How many seconds the service's clock is ahead of ours, as far as signatures are concerned.
    clock_offset: float = 0.0
    # The system's randomness once, then numbers: a seeded or forked process makes no calls of the same id.
    _invocation_prefix: str = attrs.field(factory=lambda: str(uuid.uuid4())[:-_NODE_DIGITS], init=False)
    _invocations: Iterator[int] = attrs.field(factory=itertools.count, init=False)

    def now(self) -> float:
        """The time by the service's clock, as a Unix time."""
        return time.time() + self.clock_offset

    def new_invocation(self) -> str:
        """The id of one more call, a UUID, which tells calls apart in the service's logs."""
        return f"{self._invocation_prefix}{next(self._invocations):0{_NODE_DIGITS}x}"


@attrs.frozen(kw_only=True)
class CallOptions:
    """What one client of those that share may have for itself; no credentials means unsigned."""

    credentials: CredentialSource | None
    max_attempts: int
    adaptive: bool
    timeouts: Timeouts
    validate: bool
    hooks: HookSet
    user_agent: str


@attrs.frozen
class _Failure:
    error: ServiceError | TransportError
    headers: Mapping[str, str]


class Call:
    """One call; it may be prepared some time before it is made, and is made once.

    Args:
        shared: What the client's calls have in common.
        options: What this client has for itself.
        operation: What to call.
        request: With what.
    """

    __slots__ = (
        "_assumed_offset", "_attempt", "_body", "_delay", "_invocation", "_operation", "_options", "_request",
        "_resigned", "_route", "_shared", "_source", "_tokens",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, options: CallOptions, operation: Operation[Any, ResponseT], request: object
    ) -> None:
        self._shared = shared
        self._options = options
        self._operation = operation
        self._request = request
        self._body: Body | None = None
        self._attempt = 0
        self._delay = 0.0
        self._tokens = 0
        self._resigned = False
        self._route: Route | None = None
        traits = operation.traits
        self._source = options.credentials if traits is None or traits.signed else None
        # What the last attempt took the clocks' difference for; another call may correct it meanwhile.
        self._assumed_offset = shared.clock_offset
        self._invocation = shared.new_invocation()

    async def prepare(self) -> None:
        """Validate, serialise and hash the request; making the call does it if it was not done before.

        Raises:
            ValidationError: The model forbids the request.
        """
        if self._body is not None:
            return
        shared, operation = self._shared, self._operation
        traits = operation.traits
        if traits is not None and traits.tokens:
            self._request = _with_tokens(self._request, traits.tokens)
        request = self._request
        if self._options.validate:
            check(shared.service, operation, request, shared.hints)
        encode = shared.serde.encode_request
        try:
            large = shared.serde.is_large(request)
            body = (
                await in_thread(shared.executor, encode, operation, request)
                if large
                else encode(operation, request)
            )
        except SerdeError as error:
            raise ValidationError(operation.method, (str(error),)) from error
        if traits is None:
            self._route = shared.router.route(operation)
        else:
            self._route, body = await self._apply(traits, body)
        if not body.hash_if_small():
            await body.hash(shared.executor)
        self._body = body

    async def _apply(self, traits: Traits, body: Body) -> tuple[Route, Body]:
        """Return the route and the body that the operation's traits ask for."""
        shared, operation = self._shared, self._operation
        if traits.endpoint is None:
            route = shared.router.route(operation)
        else:
            route = await shared.router.own_route(operation, traits.endpoint, self._request)
        least = shared.compressed_from
        if traits.compressed and least is not None and body.length >= least:
            body = await in_thread(shared.executor, body.compressed)
            route = route.with_header("Content-Encoding", "gzip")
        return route, body

    async def make(self) -> Any:
        """The response, typed by the operation.

        Raises:
            ValidationError: The model forbids the request; nothing was sent.
            CredentialsError: There is nothing to sign with.
            ServiceError: The service said no.
            TransportError: There was no reply.
        """
        started = time.monotonic()
        hooks = self._options.hooks
        try:
            await self.prepare()
            response = await self._until_done()
        except ECRPublicError as error:
            await hooks.tell_error(self._operation, self._request, error, time.monotonic() - started)
            raise
        if hooks.after_response:
            await hooks.tell_response(self._operation, self._request, response, time.monotonic() - started)
        return response

    async def _until_done(self) -> Any:
        while True:
            self._attempt += 1
            outcome = await self._try_once()
            if not isinstance(outcome, _Failure):
                self._shared.quota.release(self._tokens)
                return outcome
            delay = self._delay_after(outcome)
            if delay is None:
                await self._require_unchanged(outcome.error)
                raise outcome.error
            self._delay += delay
            event = RetryEvent(
                operation=self._operation.name,
                request=self._request,
                attempt=self._attempt,
                error=outcome.error,
                delay=delay,
            )
            _log.info(
                "%s: attempt %d failed, next in %.3f s: %s",
                event.operation,
                event.attempt,
                delay,
                event.error,
            )
            await self._options.hooks.tell_retry(event)
            await asyncio.sleep(delay)

    async def _try_once(self) -> Any:
        """The response with its metadata, or how it failed."""
        shared, operation = self._shared, self._operation
        await self._await_turn()
        headers = self._own_headers()
        if self._options.hooks.before_send:
            headers = await self._hooked(headers)
        if self._source is not None:
            timeouts = self._options.timeouts
            credentials = self._source.ready() or await self._source.get(timeouts.connect + timeouts.read)
            self._sign(headers, credentials)
        route, body = self._route_found, self._prepared
        _log.debug("%s: attempt %d, %d bytes", operation.name, self._attempt, body.length)
        try:
            reply = await shared.transport.send(
                route.endpoint.url, headers, body, self._options.timeouts, repeatable=operation.reads
            )
            if reply.status in _OK:
                return self._response(reply)
        except TransportError as broken:
            broken.operation = operation.name
            return self._failed(broken, {})
        error = read_error(shared.service, shared.serde, operation, reply)
        return self._failed(error, reply.headers)

    async def _await_turn(self) -> None:
        """Wait until the operation's quota and, in adaptive mode, the sending rate allow another attempt."""
        pace = self._shared.limits.pace(self._operation.name)
        if pace is not None:
            await pace.acquire()
        if self._options.adaptive:
            await self._shared.adaptive.acquire()

    def _response(self, reply: Reply) -> Any:
        """The response in a reply of success."""
        response = read_response(self._shared.serde, self._operation, reply)
        # Only what it has done itself is surely a reply of the service, and not of something on the way.
        self._shared.clock.observe(reply.headers.get("Date"))
        metadata = response.metadata = ResponseMetadata(
            request_id=request_id(reply.headers),
            status=reply.status,
            attempts=self._attempt,
            retry_delay=self._delay,
        )
        _log.debug("%s: status %d, request id %s", self._operation.name, reply.status, metadata.request_id)
        self._report(throttled=False)
        return response

    def _failed(self, error: ServiceError | TransportError, headers: Mapping[str, str]) -> _Failure:
        error.attempts = self._attempt
        error.retry_delay = self._delay
        _log.debug("%s: attempt %d failed: %s", self._operation.name, self._attempt, error)
        return _Failure(error, headers)

    def _own_headers(self) -> dict[str, str]:
        """The headers of this attempt before it is signed; the first three are signed too."""
        return {
            **self._route_found.sent,
            "User-Agent": self._options.user_agent,
            "amz-sdk-invocation-id": self._invocation,
            "amz-sdk-request": self._retry_header(),
        }

    def _sign(self, headers: dict[str, str], credentials: Credentials) -> None:
        shared = self._shared
        route = self._route_found
        if self._options.hooks.before_send:
            signed = CanonicalHeaders.of(
                {name: value for name, value in headers.items() if name.lower() not in _UNSIGNED}
            )
        else:
            signed = route.signed
        self._assumed_offset = shared.clock_offset
        headers |= route.signer.sign(
            signed,
            path=route.endpoint.path,
            payload_hash=self._prepared.sha256,
            credentials=credentials,
            stamp=amz_date(shared.now()),
        )

    async def _hooked(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers after the hooks have seen them."""
        event = SendEvent(
            operation=self._operation.name,
            request=self._request,
            attempt=self._attempt,
            url=str(self._route_found.endpoint.url),
            headers=CIMultiDict(headers),
        )
        await self._options.hooks.tell_before_send(event)
        check_headers(event.headers)
        return dict(event.headers)

    def _delay_after(self, failure: _Failure) -> float | None:
        """Seconds until the next attempt, or ``None`` if there will not be one."""
        error = failure.error
        verdict = judge(error, modelled=self._is_modelled(error))
        self._report(throttled=verdict is Verdict.THROTTLED)
        if isinstance(error, ServiceError):
            error.retryable = verdict is not Verdict.FINAL
            error.throttling = verdict is Verdict.THROTTLED
        if self._corrects_clock(failure):
            return 0.0
        if verdict is Verdict.FINAL or self._attempt >= self._options.max_attempts:
            return None
        tokens = self._shared.quota.acquire(verdict)
        if tokens is None:
            _log.info("%s: no retry, the retry quota is used up", self._operation.name)
            return None
        self._tokens = tokens
        delay = backoff(verdict, self._attempt, asked_delay(failure.headers))
        if verdict is Verdict.THROTTLED:
            self._shared.limits.throttled(self._operation.name, delay)
        return delay

    def _is_modelled(self, error: ServiceError | TransportError) -> bool:
        """Whether it is one of those that the model lists for the operation."""
        return isinstance(error, self._operation.errors)

    async def _require_unchanged(self, error: ServiceError | TransportError) -> None:
        """Find out whether a request was refused because its bytes are not those that were hashed and signed.

        Raises:
            BlobError: They are not.
        """
        if not isinstance(error, ServiceError) or self._is_modelled(error):
            return
        if await self._prepared.changed(self._shared.executor):
            raise BlobError(self._operation.method, ("a blob has changed since it was hashed",)) from error

    def _corrects_clock(self, failure: _Failure) -> bool:
        """Whether the signature was refused for our clock, which is then set right: once a call."""
        error = failure.error
        if self._resigned or not isinstance(error, ServiceError) or error.code not in CLOCK_CODES:
            return False
        served = http_date(failure.headers.get("Date"))
        if served is None:
            return False
        offset = served.timestamp() - time.time()
        if abs(offset - self._assumed_offset) < _SKEW_ALLOWED:
            return False
        self._shared.clock_offset = offset
        self._resigned = True
        _log.info("the clock is %.0f s off the service's; signing again", self._shared.clock_offset)
        return True

    def _report(self, *, throttled: bool) -> None:
        if self._options.adaptive:
            self._shared.adaptive.report(throttled=throttled)

    def _retry_header(self) -> str:
        """``amz-sdk-request``: which attempt it is and, on a retry, until when the reply is of use."""
        facts = f"attempt={self._attempt}; max={self._options.max_attempts}"
        if self._attempt == 1:
            return facts
        return f"ttl={amz_date(self._shared.now() + self._options.timeouts.read)}; {facts}"

    @property
    def _prepared(self) -> Body:
        if self._body is None:
            raise AssertionError("a call is prepared before it is sent")
        return self._body

    @property
    def _route_found(self) -> Route:
        if self._route is None:
            raise AssertionError("a call is prepared before it is sent")
        return self._route


def _with_tokens(request: Any, members: tuple[str, ...]) -> Any:
    """Return the request with a token in each of ``members`` that has none."""
    tokens = {name: str(uuid.uuid4()) for name in members if getattr(request, name) is None}
    return attrs.evolve(request, **tokens) if tokens else request
