from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hush.core._resources import _secrets
from hush.observability import TraceStore, _pipeline, _preview
from hush.observability._local._writer import LocalWriter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces" / "traces.db"


@pytest.fixture
def writer(file: Path):
    made = LocalWriter(str(file))
    yield made
    made.close()


@pytest.fixture
def store(file: Path) -> TraceStore:
    return TraceStore(file)


@pytest.fixture
def forgetting() -> Iterator[None]:
    """What is remembered here is not sought in other tests."""
    known, mine = _secrets._remembered.copy(), set(_preview._remembered)
    yield
    _secrets._remembered = known
    _preview._remembered.clear()
    _preview._remembered.update(mine)


@pytest.fixture
def receiver():
    """A real receiver of OTLP."""
    from kit.otlp_receiver import otlp_receiver

    with otlp_receiver() as found:
        yield found
    _pipeline._shared.clear()  # its port may be another's soon, and a pipeline that a test has closed stays closed


@pytest.fixture
def users():
    """What a user's own provider, which is not the global one, has exported; its ``tracer`` is an instrumentation's."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    made.tracer = provider.get_tracer("users")
    yield made
    provider.shutdown()
