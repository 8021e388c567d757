"""A span of OpenTelemetry for every call, with its retries, and the trace's context in every request.

Needs ``pip install opentelemetry-sdk``. Runs against a local ECR Public whose first reply is an error.
"""

import asyncio
from contextvars import ContextVar

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from aioecrpublic import ECRPublicClient, ServiceError
from aioecrpublic.hooks import ErrorEvent, ResponseEvent, RetryEvent, SendEvent
from aioecrpublic.local import Fault, FaultKind, LocalECRPublic


class Tracing:
    """A hook that opens a span at the first attempt of a call and ends it with the call.

    A call is made by one task from its first attempt to its end, so a context variable knows its span. A call
    that is cancelled is not told to hooks: its span is never ended, and so never exported.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._span: ContextVar[Span] = ContextVar("span", default=trace.INVALID_SPAN)

    async def before_send(self, event: SendEvent) -> None:
        if event.attempt == 1:
            attributes = {"rpc.system": "aws-api", "rpc.method": event.operation, "url.full": event.url}
            span = self._tracer.start_span(event.operation, kind=SpanKind.CLIENT, attributes=attributes)
            self._span.set(span)
        propagate.inject(event.headers, trace.set_span_in_context(self._span.get()))

    async def on_retry(self, event: RetryEvent) -> None:
        self._span.get().add_event("retry", {"attempt": event.attempt, "error": str(event.error)})

    async def after_response(self, event: ResponseEvent) -> None:
        self._span.get().set_attribute("aws.request_id", event.response.metadata.request_id or "")
        self._end()

    async def on_error(self, event: ErrorEvent) -> None:
        span = self._span.get()
        if isinstance(event.error, ServiceError):
            span.set_attribute("aws.request_id", event.error.request_id or "")
        span.set_status(StatusCode.ERROR, str(event.error))
        self._end()

    def _end(self) -> None:
        self._span.get().end()
        self._span.set(trace.INVALID_SPAN)


def line(span: ReadableSpan) -> str:
    events = "".join(f"\n    {event.name} {dict(event.attributes or {})}" for event in span.events)
    parent = f" in {span.parent.span_id:x}" if span.parent else ""
    return f"{span.name}{parent}: {span.status.status_code.name} {dict(span.attributes or {})}{events}\n"


async def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
    tracer = provider.get_tracer("example")
    async with (
        LocalECRPublic(faults=[Fault(kind=FaultKind.ERROR)]) as server,
        ECRPublicClient(
            endpoint_url=server.endpoint_url, credentials=server.credentials, hooks=[Tracing(tracer)]
        ) as client,
    ):
        with tracer.start_as_current_span("release"):
            await client.create_repository(repository_name="team/app")
            missing = client.describe_images(repository_name="team/missing")
            answers = await asyncio.gather(client.describe_registries(), missing, return_exceptions=True)
    print(f"the second answer was {answers[1]!r}")


if __name__ == "__main__":
    asyncio.run(main())
