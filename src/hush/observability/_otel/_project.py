"""``Project``: a project of Langfuse's: its keys, where it is, and how spans are sent to it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from hush.core.errors import UsageError
from hush.core.extend import remember_secrets
from hush.observability._otel._endpoint import Endpoint, basic, given_endpoint

_HOST = "https://cloud.langfuse.com"
_PATH = "/api/public/otel/v1/traces"


class Project(NamedTuple):
    """What says where traces go; ``None`` where it is not known yet."""

    public_key: str | None = None
    secret_key: str | None = None
    host: str | None = None
    environment: str | None = None
    release: str | None = None
    timeout_s: float | None = None

    def completed(self, other: Project) -> Project:
        """This one, with what is not known of it from ``other``."""
        known = {name: value for name, value in self._asdict().items() if value is not None}
        return other._replace(**known)


def endpoint_to(project: Project) -> Endpoint:
    """Where and how the spans of a project, which has its keys, are sent."""
    public, secret = project.public_key or "", project.secret_key or ""
    for name, key in (("public_key", public), ("secret_key", secret)):
        if not isinstance(key, str) or not (key.isascii() and key.isprintable()):
            raise UsageError(f"LangfuseTracer: {name} is no text that a header can carry.")
    if ":" in public:
        raise UsageError("LangfuseTracer: public_key holds a colon, which no such key does.")
    remember_secrets([secret])
    headers = {
        "authorization": basic(f"{public}:{secret}"),
        "x-langfuse-ingestion-version": "4",
        "x-langfuse-public-key": public,
    }
    host = (project.host or _HOST).strip().rstrip("/").removesuffix(_PATH).removesuffix("/api/public/otel")
    return given_endpoint("LangfuseTracer", host + _PATH, headers, project.timeout_s, "gzip")


def of_settings(found: Any) -> Project:
    """What the settings of a resource say."""
    return Project(
        found.public_key,
        found.secret_key.get_secret_value(),
        None if found.host is None else found.host.get_secret_value(),
        found.environment,
        found.release,
        found.timeout_s,
    )


def of_variables() -> Project:
    read = os.environ.get
    return Project(
        read("LANGFUSE_PUBLIC_KEY") or None,
        read("LANGFUSE_SECRET_KEY") or None,
        read("LANGFUSE_BASE_URL") or read("LANGFUSE_HOST") or None,
        read("LANGFUSE_TRACING_ENVIRONMENT") or None,
        read("LANGFUSE_RELEASE") or None,
    )
