"""``otel:name`` and ``langfuse:name``: where traces are sent, as settings in ``resources.yaml``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hush.core import ResourceHub
from hush.core.extend import ResourceKind, ResourceType, resource_in
from hush.observability._otel._endpoint import Endpoint, endpoint_of
from hush.observability._otel._packages import needed
from hush.observability._otel._project import endpoint_to, of_settings

if TYPE_CHECKING:
    from pydantic import BaseModel

_PROBE_S = 4.0


class TraceTarget(ABC):
    """Where traces may be sent: what a key stands for. Tracers ask for its settings; there is nothing to open.

    Attributes:
        name: Its key in the hub.
        settings: As they were checked.
    """

    def __init__(self, name: str, settings: Any) -> None:
        self.name = name
        self.settings = settings

    def __repr__(self) -> str:
        return f"<{self.name}>"

    async def probe(self) -> str:
        """Send a request without a span: whoever takes it can be reached, and takes the keys."""
        import asyncio

        await asyncio.to_thread(self._send_nothing)
        return "a request without spans was taken"

    def _send_nothing(self) -> None:
        from hush.observability._otel._sender import Sender

        needed(self.name)
        sender = Sender(replace(self._endpoint(), timeout_s=_PROBE_S))
        try:
            sender.send(b"")
        finally:
            sender.close()

    @abstractmethod
    def _endpoint(self) -> Endpoint:
        """Where a request is sent to see whether it is taken."""


class OTelTarget(TraceTarget):
    """``otel:name``."""

    def _endpoint(self) -> Endpoint:
        given = self.settings
        url = None if given.endpoint is None else given.endpoint.get_secret_value()
        return endpoint_of(self.name, url, given.headers, given.timeout_s)


class LangfuseTarget(TraceTarget):
    """``langfuse:name``."""

    def _endpoint(self) -> Endpoint:
        return endpoint_to(of_settings(self.settings))


def _collector() -> type[BaseModel]:
    from hush.observability._otel._settings import Collector

    return Collector


def _project() -> type[BaseModel]:
    from hush.observability._otel._settings import Project

    return Project


OTEL = ResourceType(
    category="otel",
    title="a collector of traces",
    kind=OTelTarget,
    example="endpoint: http://localhost:4318/v1/traces",
    kinds=(
        ResourceKind(
            "",
            _collector,
            OTelTarget,
            spellings={"timeout": "timeout_s", "url": "endpoint"},
            classes=("OTelConfig", "OTELConfig", "OtelConfig"),
        ),
    ),
)
LANGFUSE = ResourceType(
    category="langfuse",
    title="a project of Langfuse's",
    kind=LangfuseTarget,
    example="public_key: ${LANGFUSE_PUBLIC_KEY}\nsecret_key: ${LANGFUSE_SECRET_KEY}\nhost: https://cloud.langfuse.com",
    kinds=(
        ResourceKind(
            "",
            _project,
            LangfuseTarget,
            spellings={"timeout": "timeout_s", "base_url": "host"},
            classes=("LangfuseConfig",),
        ),
    ),
)


def target(category: str, key: str, hub: ResourceHub | None) -> Any:
    """The settings under ``key``, bare or with its category, of ``hub``, else of the one that is looked for.

    Raises:
        ResourceError: There is none, or its settings are wrong.
    """
    found = resource_in(hub, category, key)
    assert isinstance(found, TraceTarget)
    return found.settings


def has_target(key: str, hub: ResourceHub | None) -> bool:
    """Whether there is a ``key`` in ``hub``, else in the one that is looked for."""
    return key in (ResourceHub.default() if hub is None else hub)
