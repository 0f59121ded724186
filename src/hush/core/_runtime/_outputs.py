"""What a function returned, seen as keys and values: and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hush.core._plan._model import SKIPPED, StepPlan, Watch
from hush.core._spec._model import ERROR, NEVER_STARRED, TAGS, is_reserved
from hush.core.errors import GraphError, MissingKeyError, OutputError, missing_key


class FailedOutput(dict[str, Any]):
    """The output of a handled failure: ``error``, and ``None`` for any other key."""

    def __missing__(self, key: str) -> None:
        return None


class SkippedOutput(dict[str, Any]):
    """The output of a step that did not run: nothing is there."""

    def __missing__(self, key: str) -> Any:
        return SKIPPED


SKIPPED_OUTPUT = SkippedOutput()


class Lacking:
    """What stands in a slot whose key was not returned: the error of whoever reads it."""

    __slots__ = ("error",)

    def __init__(self, error: MissingKeyError) -> None:
        self.error = error


def as_mapping(step: StepPlan, out: Any) -> Mapping[str, Any]:
    """The keys of a mapping, a dataclass or a pydantic model, read shallowly; none for ``None``."""
    if out is None:
        return {}
    if isinstance(out, Mapping):
        return dict(out)
    kind = type(out)
    if is_dataclass(kind):
        return {field.name: getattr(out, field.name) for field in fields(out)}
    if isinstance(getattr(kind, "model_fields", None), Mapping):
        return dict(out)  # a pydantic model gives its fields as pairs, and the extra ones that it allows
    raise OutputError(
        f"{step.path} returned {_short(out)} of type {kind.__name__}, which has no keys. "
        f'Return a dict: return {{"result": value}}; or a dataclass or pydantic model. ({step.where})'
    )


def absent(step: StepPlan, key: str, out: Mapping[str, Any]) -> Any:
    """The value of a key that is not there: of ``error``, or beside an ``error`` of its own, ``None``."""
    if key == ERROR or out.get(ERROR) is not None:
        return None
    raise missing_key(step.path, key, [name for name in out if name != TAGS])


plain_keys: set[object] = set()
"""Keys that are strings, not reserved, and none that ``"*"`` never carries: the same ones come with every item."""
_MOST_PLAIN_KEYS = 4096


def starred(step: StepPlan, out: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``"*"`` carries of an output. Raises for reserved keys, and for keys that are no strings."""
    for key in out:
        if key not in plain_keys:
            _check_key(step, key)
    if NEVER_STARRED.isdisjoint(out):
        return out
    return {key: value for key, value in out.items() if key not in NEVER_STARRED}


def _check_key(step: StepPlan, key: object) -> None:
    if key in NEVER_STARRED:
        return
    if isinstance(key, str) and not is_reserved(key):
        if type(key) is str and len(plain_keys) < _MOST_PLAIN_KEYS:
            plain_keys.add(key)
    else:
        what = "is reserved" if isinstance(key, str) else "is not a string"
        raise OutputError(f"{step.path} hands all its keys over, but {key!r} {what}. Rename it. ({step.where})")


def check_watch(step: StepPlan, watch: Watch, out: Mapping[str, Any], star_writers: dict[str, str]) -> None:
    """Raise if a ``"*"`` writes a key that someone else writes or reads, neither coming first.

    ``star_writers`` names who wrote each key through ``"*"`` so far, and is brought up to date.
    """
    for key in starred(step, out):
        other = watch.keys.get(key)
        if other is None and star_writers.get(key) in watch.rivals:
            other = star_writers[key]
        star_writers[key] = step.name
        if other is not None:
            raise GraphError(
                f'{step.path} writes PARENT["{key}"] through "*", and so does {other}, or it reads it; neither comes '
                f"first. Put them in order: {other} >> {step.name}; or write keys by name. ({step.where})"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
