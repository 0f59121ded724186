"""``LangfuseTracer``: every run as a trace in Langfuse, models as generations with tokens and costs."""

from __future__ import annotations

from collections.abc import Sequence

from hush.core import ResourceHub
from hush.core.errors import UsageError
from hush.observability._otel import _attributes as names
from hush.observability._otel._packages import needed
from hush.observability._otel._project import Project, endpoint_to, of_settings, of_variables
from hush.observability._otel._resources import has_target, target
from hush.observability._otel._sending import (
    LANGFUSE_ENABLED,
    SDK_DISABLED,
    SendingTracer,
    nowhere,
    switched_off,
)
from hush.observability._otel._tracer import sends
from hush.observability._sampling import USUAL, Sampling

_DEFAULT_KEY = "langfuse:default"


class LangfuseTracer(SendingTracer):
    """Sends every run to Langfuse, over its OTLP endpoint; Langfuse's own SDK is not needed.

    A run is a trace with its request id, user and session, as given to ``engine.run``; each node an observation, those
    that ask language models generations with model, parameters, tokens and cost. What is not given is looked for: the
    resource ``langfuse:default``, then ``LANGFUSE_PUBLIC_KEY``, ``LANGFUSE_SECRET_KEY``, ``LANGFUSE_BASE_URL`` or
    ``LANGFUSE_HOST``, ``LANGFUSE_TRACING_ENVIRONMENT``, ``LANGFUSE_RELEASE``. Give one to any number of runs, from any
    thread and loop; those of one project share one thread and one connection. With ``LANGFUSE_TRACING_ENABLED=false``,
    or ``OTEL_SDK_DISABLED=true``, it does nothing, and needs no keys.

    Args:
        public_key: ``pk-lf-...``.
        secret_key: ``sk-lf-...``.
        host: ``https://cloud.langfuse.com``, also without it; or another region, or your own server.
        resource_key: A resource that says these, ``"langfuse:default"`` or ``"default"``; what is given beside it goes
            before it.
        resources: The hub that has the resource, if it is not the one that is looked for.
        tags: Added to those of each run.
        sampling: Which items of large maps become spans.
        environment: As Langfuse separates them: lowercase letters, digits, ``-`` and ``_``, not beginning with
            ``langfuse``.
        release: Of your program.
        keep_values: ``None`` for previews of what nodes read and gave, ``True`` for all of it, ``False`` for nothing
            but what messages of errors quote.
        timeout_s: How long one request may take; 10 s without it.
        max_pending: How many spans may be in memory. Before there are so many, items that ended well are left out;
            what comes then is dropped and counted, except that as many again of what failed may wait.

    Raises:
        UsageError: A key is missing, or an argument is wrong.
        ResourceError: The resource is not there, or its settings are wrong.
        ImportError: A package is missing: ``pip install 'hushflow[otel]'``.
    """

    def __init__(
        self,
        *,
        public_key: str | None = None,
        secret_key: str | None = None,
        host: str | None = None,
        resource_key: str | None = None,
        resources: ResourceHub | None = None,
        tags: Sequence[str] = (),
        sampling: Sampling = USUAL,
        environment: str | None = None,
        release: str | None = None,
        keep_values: bool | None = None,
        timeout_s: float | None = None,
        max_pending: int = 40_000,
    ) -> None:
        self._off = switched_off("LangfuseTracer", {SDK_DISABLED: "true", LANGFUSE_ENABLED: "false"})
        make, key = nowhere, None
        if not self._off:
            needed("LangfuseTracer")
            given = Project(public_key, secret_key, host, environment, release, timeout_s)
            project = found_project(given, resource_key, resources)
            to = endpoint_to(project)
            from hush.observability._otel._context import entering
            from hush.observability._otel._langfuse_form import LangfuseForm

            self.entering = entering
            _require_environment(project.environment)
            form = LangfuseForm(project.environment, project.release)
            of_all = ((names.LF_ENVIRONMENT, form.environment), (names.LF_RELEASE, form.release))
            make, key = sends(to, form, None, *of_all), ("langfuse", to, form)
        super().__init__(
            make,
            key=key,
            keep_values=keep_values,
            tags=tags,
            sampling=sampling,
            max_pending=max_pending,
        )


def found_project(given: Project, resource_key: str | None, hub: ResourceHub | None) -> Project:
    """``given``, completed by the resource and by the variables.

    Raises:
        UsageError: A key is missing.
        ResourceError: The resource is not there though it was asked for, or its settings are wrong.
    """
    key = resource_key
    if key is None and (given.public_key is None and given.secret_key is None):
        key = _DEFAULT_KEY if has_target(_DEFAULT_KEY, hub) else None
    project = given
    if key is not None:
        project = project.completed(of_settings(target("langfuse", key, hub)))
    project = project.completed(of_variables())
    missing = [name for name in ("public_key", "secret_key") if not getattr(project, name)]
    if missing:
        raise UsageError(
            f"LangfuseTracer: {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing. Write one of:\n"
            '    LangfuseTracer(public_key="pk-lf-...", secret_key="sk-lf-...", host="https://cloud.langfuse.com")\n'
            "    the variables LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_BASE_URL\n"
            '    LangfuseTracer(resource_key="langfuse:default"), and in resources.yaml\n'
            "        langfuse:default:\n"
            "          public_key: ${LANGFUSE_PUBLIC_KEY}\n"
            "          secret_key: ${LANGFUSE_SECRET_KEY}\n"
            "          host: https://cloud.langfuse.com"
        )
    return project


def _require_environment(name: str | None) -> None:
    """Langfuse would put all of it under ``default`` without a word."""
    import re

    if name is not None and not (isinstance(name, str) and re.fullmatch(r"(?!langfuse)[a-z0-9_-]{1,40}", name)):
        raise UsageError(
            f"LangfuseTracer(environment={name!r}): it is at most 40 lowercase letters, digits, - and _, and does not "
            "begin with langfuse."
        )
