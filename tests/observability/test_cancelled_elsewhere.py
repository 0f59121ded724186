"""A run that was cancelled is told of as such where its spans are sent: it says why, and nobody counts a failure."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import CodeNode, GraphNode, Hush
from hush.observability import LangfuseTracer, OTelTracer


@pytest.mark.parametrize("why", [("the shop is closed",), ("",), ()])
async def test_a_cancelled_run_has_no_exception(receiver, why):
    """OpenTelemetry's own spans record none either: backends list each as an error."""
    begun = asyncio.Event()

    async def code():
        begun.set()
        await asyncio.Event().wait()

    with GraphNode(name="shop") as graph:
        CodeNode(name="code", code_fn=code)
    langfuse = LangfuseTracer(public_key="pk", secret_key="sk", host=receiver.url.removesuffix("/v1/traces"))
    tracers = [OTelTracer(endpoint=receiver.url), langfuse]
    run = asyncio.create_task(Hush(graph).run(tracer=tracers))
    await begun.wait()
    run.cancel(*why)
    with pytest.raises(asyncio.CancelledError):
        await run
    for tracer in tracers:
        assert tracer.flush()
        tracer._pipeline.close(5.0)
    assert len(receiver.spans) == 4
    for span in receiver.spans:
        assert (span.status, span.message, span.events) == ("UNSET", "", ())
        assert not any("stack" in name or "error" in name for name in span.attributes)
    said = "".join(why)
    roots = [span for span in receiver.spans if span.parent is None]
    plain, fed = sorted(roots, key=lambda one: "langfuse.observation.level" in one.attributes)
    assert plain.attributes.get("hush.cancelled", "") == said
    assert fed.attributes.get("langfuse.observation.metadata.cancelled", "") == said
    assert fed.attributes["langfuse.observation.level"] == "WARNING"
    status = fed.attributes["langfuse.observation.status_message"]
    assert status == (f"cancelled: {said}" if said else "cancelled")
