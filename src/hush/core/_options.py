"""What an engine and its runs are given, and what of it is checked before anything else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from hush.core._resources._hub import ResourceHub
from hush.core.errors import UsageError
from hush.core.protocols import Tracer

Tracers = Tracer | Sequence[Tracer] | None
Resources: TypeAlias = "ResourceHub | Mapping[str, Any] | str | os.PathLike[str] | None"


class RunOptions(TypedDict, total=False):
    """What ``run`` takes besides its inputs."""

    tracer: Tracers
    request_id: str | None
    user_id: str | None
    session_id: str | None
    timeout_s: float | None
    keep: bool


def hub_of(resources: Resources) -> ResourceHub | None:
    """The hub that ``resources=`` gives; ``None`` for that of the process."""
    if resources is None or isinstance(resources, ResourceHub):
        return resources
    if isinstance(resources, Mapping):
        return ResourceHub(resources)
    if isinstance(resources, str | os.PathLike):
        return ResourceHub(path=resources)
    raise UsageError(f"resources={resources!r}: it is a ResourceHub, a mapping of settings, or the path of a file.")


def check_names(**names: object) -> None:
    """Raise ``UsageError`` unless each is a string, or was not given."""
    for name, given in names.items():
        if given is not None and not isinstance(given, str):
            raise UsageError(f"{name}={given!r}: it is a string.")


def check_seconds(seconds: object, name: str = "timeout_s") -> None:
    """Raise ``UsageError`` unless it is a time that something can take."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(f"{name}={seconds!r}: it is a number of seconds above 0.")
