"""Which kind of its category a resource is: ``type:``, and the older ``_class:`` and ``api_type:``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hush.core._resources._registry import Broken, Category
from hush.core._resources._secrets import looks_secret
from hush.core._resources._types import ResourceKind
from hush.core._resources._variables import VariableFault, expanded, names_in, parts_of
from hush.core._resources._written import Written, problem, shown
from hush.core.errors import Problem, nearest

TYPE = "type"
CLASS = "_class"
"""What ``type:`` was once called; its values are names of classes."""
API = "api_type"
"""What chose among the kinds of a class then."""


class Chosen(NamedTuple):
    """The kind that settings name, ``None`` if they name none, and what they name it by."""

    kind: ResourceKind | None
    by: tuple[str, ...] = ()


def chosen(key: str, category: Category, entry: Written, environ: Mapping[str, str]) -> tuple[Chosen, list[Problem]]:
    """The kind that the settings of ``key`` name, or what is wrong with that."""
    if category.only is not None:
        return Chosen(category.only), []
    found: Mapping[str, Written] = entry.value
    if TYPE in found and CLASS in found:
        message = f"{TYPE} and {CLASS} are two names of one setting"
        return Chosen(None), [problem(key, found[CLASS].key, message, "Leave one of them out.")]
    by = (TYPE,) if TYPE in found else tuple(name for name in (CLASS, API) if name in found)
    if not by:
        message = f"type is missing: which {category.type.title.removeprefix('an ').removeprefix('a ')} is it?"
        return Chosen(None), [problem(key, entry.key, message, f"Write type: {' or '.join(category.names())}.")]
    kind: ResourceKind | None = None
    for name in by:  # the class first: where both are there, the other one says more
        try:
            kind = _named(name, category, _text(name, found[name], environ))
        except _NoKindError as wrong:
            place = found[name].place
            return Chosen(None), [problem(key, place, f"{name}{wrong.message}", wrong.mend)]
    if TYPE in by and API in found and kind is not None and API not in kind.model().model_fields:
        try:
            same = _named(API, category, _text(API, found[API], environ)) is kind
        except _NoKindError:
            same = False
        if not same:
            message = f"{API} says something else than {TYPE}, and is an older name of it"
            return Chosen(None), [problem(key, found[API].key, message, "Leave it out.")]
        by = (TYPE, API)
    return Chosen(kind, by), []


class _NoKindError(Exception):
    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


def _text(name: str, one: Written, environ: Mapping[str, str]) -> Any:
    """What was written, with its variables filled in."""
    if not isinstance(one.value, str) or "${" not in one.value:
        return one.value
    unset: list[str] = []
    try:
        parts = parts_of(one.value)
    except VariableFault as fault:
        raise _NoKindError(f" {fault.message}", fault.mend) from None
    text = expanded(parts, environ, unset)
    if unset:
        mend = f"Set it, or write a default behind it: ${{{unset[0]}:default}}"
        raise _NoKindError(f" needs the variable {unset[0]}, which is not set and has no default", mend)
    return _Given(text, ", ".join(f"${{{variable}}}" for variable in names_in(parts)))


class _Given(str):
    """Text that variables gave, which is not shown."""

    variables: str
    __slots__ = ("variables",)

    def __new__(cls, text: str, variables: str) -> _Given:
        made = super().__new__(cls, text)
        made.variables = variables
        return made


def _named(by: str, category: Category, text: Any) -> ResourceKind:
    known: list[str]
    broken: list[str] = []
    try:
        if by == CLASS:
            classes, broken = category.classes()
            known, kind = list(classes), classes.get(text) if isinstance(text, str) else None
        else:
            known, kind = category.names(), category.named(text)
    except Broken as error:
        raise _NoKindError(f": {error}", "Install that distribution anew, or ask its authors.") from None
    if kind is not None:
        return kind
    near = nearest(text, known) if isinstance(text, str) else None
    mend = f"Did you mean {near}?" if near else f"There are: {', '.join(known)}."
    if broken:
        mend += f" Not all are known: {'; '.join(broken)}."
    if isinstance(text, _Given):
        shows = f"what {text.variables} gives"
    elif isinstance(text, str):
        shows = "a value that is not shown" if looks_secret(text) else shown(text)
    else:
        shows = "nothing" if text is None else type(text).__name__
    raise _NoKindError(f": {shows} is no kind of {category.type.category}", mend)
