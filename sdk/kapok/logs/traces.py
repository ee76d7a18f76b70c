"""Traces, as an option: spans of what parties do for a job, in OpenTelemetry's terms.

    analyst  submit ─▶                                        open
    broker            calls ─▶                        fold ─▶
    node                       judge ─▶ seal ─▶ release ─▶

All spans of a job are in one trace, whose id follows from the job's: whoever knows a job finds its trace, at
every party that sends spans to the same place. Calls carry the caller's span in their metadata, as the W3C
has it.

A span has a name of ours, the job's id, and the code of an error: no question, no name of anybody, nothing of
data. How long a step takes does follow from the size of a table, as whoever sees the wire knows. The library
is imported only when traces are asked for; until then everything here does nothing.

Source: W3C Trace Context, section 3.2 (traceparent).
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from kapok.errors import InvalidInput, KapokError
from kapok.logs.lasting import Lasting

__all__ = ["check", "configure", "continued", "headers", "span", "use"]

_HEADER: Final = "traceparent"
_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\Z")
# A daemon that ends waits for so long for a collector that is away.
_PATIENCE_S: Final = 3
_tracer: Any = None
_log = logging.getLogger(__name__)


def configure(party: str, endpoint: str) -> None:
    """Send spans to a collector from now on.

    Args:
        party: Whose spans they are, as a collector groups them: ``broker``, ``node``, ``analyst``.
        endpoint: Of OTLP over gRPC, ``http://127.0.0.1:4317``; ``https://`` for TLS. Empty: no spans.

    Raises:
        InvalidInput: ``no_telemetry`` when the library is not installed, ``bad_endpoint``.
    """
    if not endpoint:
        return
    check(endpoint)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    away = Lasting(_log)

    class Exporter(OTLPSpanExporter):
        """Says so once where nobody takes spans: the library says it with every few, in words of its own."""

        def export(self, spans: Any) -> SpanExportResult:
            result = super().export(spans)
            if result is SpanExportResult.SUCCESS:
                away.over("spans are taken again", {"collector": endpoint})
            else:
                remedy = "see that the collector runs there and takes OTLP over gRPC; or leave `traces` out"
                away.tell("away", "spans are not taken", {"collector": endpoint, "remedy": remedy})
            return result

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(resource=Resource.create({"service.name": f"kapok-{party}"}))
    exporter = Exporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_PATIENCE_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use(provider)


def check(endpoint: str) -> None:
    """See that spans could be made and sent there; whether anybody answers shows when the first are sent.

    Raises:
        InvalidInput: ``no_telemetry`` when the library is not installed, ``bad_endpoint``.
    """
    if not re.match(r"https?://[^/\s]+\Z", endpoint):
        raise InvalidInput(
            f"{endpoint!r} is not where spans can be sent",
            code="bad_endpoint",
            remedy="write http://HOST:PORT of a collector that takes OTLP over gRPC",
        )
    try:
        import opentelemetry.exporter.otlp.proto.grpc.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401 - that it is here
    except ImportError:
        raise InvalidInput(
            "traces need a library that is not installed here",
            code="no_telemetry",
            remedy="install it: pip install 'kapok[telemetry]'; or leave `traces` out",
        ) from None


def use(provider: Any) -> None:
    """Make spans with a provider of OpenTelemetry's; None for no more spans."""
    global _tracer  # noqa: PLW0603 - one process is one party
    _tracer = provider.get_tracer("kapok") if provider is not None else None


@contextlib.contextmanager
def span(name: str, *, job: str = "") -> Iterator[None]:
    """Let a span last as long as the block.

    Args:
        name: What is done, a word of ours.
        job: For which job, lower-case hex: the span is in that job's trace.
    """
    if _tracer is None:
        yield
        return
    attributes = {"kapok.job": job} if job else {}
    with _tracer.start_as_current_span(
        name,
        context=_trace_of(job),
        attributes=attributes,
        # The text of an exception may hold values from somebody's data.
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield
        except Exception as error:
            made.set_attribute("kapok.code", error.code if isinstance(error, KapokError) else "defect")
            raise


def headers() -> tuple[tuple[str, str], ...]:
    """What a call carries of the current span."""
    if _tracer is None:
        return ()
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ()
    return ((_HEADER, f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"),)


@contextlib.contextmanager
def continued(name: str, metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[None]:
    """A span under that of the caller, whose metadata these are; none where it has none."""
    if _tracer is None:
        yield
        return
    given = next((str(value) for key, value in metadata if key == _HEADER), "")
    found = _PARENT.match(given)
    if found is None:
        yield
        return
    with _tracer.start_as_current_span(
        name,
        context=_under(int(found[1], 16), int(found[2], 16)),
        record_exception=False,
        set_status_on_exception=False,
    ):
        yield


def _trace_of(job: str) -> Any:
    """The context of a job's trace; None, for the current one, where that is in it or there is no job."""
    if not re.match(r"[0-9a-f]{64}\Z", job):
        return None
    from opentelemetry import trace

    trace_id = int(job[:32], 16)
    if trace.get_current_span().get_span_context().trace_id == trace_id:
        return None
    return _under(trace_id, int(job[32:48], 16))


def _under(trace_id: int, span_id: int) -> Any:
    from opentelemetry import trace

    parent = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(1))
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))
