"""Settings as they were written, in YAML or in code, each with its place, so that an error can name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hush.core._expr._record import record
from hush.core._resources._secret_names import is_secret_name
from hush.core._resources._secrets import looks_secret
from hush.core._resources._variables import VariableFault, expanded, names_in, parts_of
from hush.core.errors import Problem, ResourceError, UsageError

MOST_LEVELS = 20
"""How deep lists and mappings may lie in each other."""
MOST_VALUES = 10_000
"""How many values the settings may hold, those that an alias repeats counted each time."""
_SHOWN = 60


class Place(NamedTuple):
    """A place in a file of settings, or in the user's code; lines and columns from 1, 0 where there is none."""

    file: str
    line: int = 0
    column: int = 0


@record
class Written:
    """A value as it was written; its variables are still in it.

    Attributes:
        value: Text, a number, ``True``, ``False``, ``None`` or whatever code gave; a list of such; or a dict of such.
        place: Where it stands.
        key: Where its key stands, ``place`` if it has none.
    """

    value: Any
    place: Place
    key: Place


def shown(text: str) -> str:
    """``text`` as a message shows it."""
    return repr(text) if len(text) <= _SHOWN else repr(text[:_SHOWN]) + "…"


def problem(path: str, place: Place, message: str, mend: str = "") -> Problem:
    """One thing that is wrong at ``place``."""
    return Problem(path, place.file, place.line, message, mend, place.column)


def resource_error(subject: str, problems: list[Problem]) -> ResourceError:
    """The error that tells all ``problems`` of ``subject``."""
    if len(problems) == 1:
        return ResourceError(str(problems[0]), problems)
    listed = "\n".join(f"  {number}. {one}" for number, one in enumerate(problems, 1))
    return ResourceError(f"{subject} has {len(problems)} problems:\n{listed}", problems)


def written(value: Any, place: Place, *, level: int = 0) -> Written:
    """What code gave, copied, so that nobody changes it later. Raises ``UsageError`` for what no file could hold."""
    if level > MOST_LEVELS:
        raise UsageError(f"settings lie in each other deeper than {MOST_LEVELS} levels.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise UsageError(f"settings are named by strings, not by {key!r}.")
        value = {key: written(one, place, level=level + 1) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        value = [written(one, place, level=level + 1) for one in value]
    return Written(value, place, place)


def secrets_in(one: Written, environ: Mapping[str, str], *, secret: bool = False, surely: bool = False) -> set[str]:
    """All values in ``one`` that may be secret: by name, by shape, and what variables give.

    Those that ``surely`` are: of variables only where the name of the setting or of the variable says it, or the shape
    of what they give; a model's name that stands in one is a word like any.
    """
    value = one.value
    if isinstance(value, dict):
        each = [
            secrets_in(inner, environ, secret=secret or is_secret_name(name), surely=surely)
            for name, inner in value.items()
        ]
        return set().union(*each)
    if isinstance(value, list):
        return set().union(*(secrets_in(inner, environ, secret=secret, surely=surely) for inner in value))
    if callable(reveal := getattr(value, "get_secret_value", None)):
        return {str(reveal())}
    if not isinstance(value, str):
        return set()
    if "${" in value:
        try:
            parts = parts_of(value)
        except VariableFault:
            return {value}
        text = expanded(parts, environ, [])
        if surely and not (secret or looks_secret(text) or any(is_secret_name(name) for name in names_in(parts))):
            return set()
        return {text}
    return {value} if secret or looks_secret(value) else set()
