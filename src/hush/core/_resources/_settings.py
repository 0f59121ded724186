"""From settings as they were written to a resource: variables, names, the model of its type, and all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core._resources._secrets import is_secret_name, looks_secret
from hush.core._resources._types import MakesResource, ResourceKind, ResourceType
from hush.core._resources._variables import VariableFault, expanded, names_in, parts_of
from hush.core._resources._written import Written, problem, shown
from hush.core.errors import Problem, UsageError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Path: TypeAlias = "tuple[str | int, ...]"
_WRONG: Any = object()
"""In place of a value whose variables are wrong: it is no value of any setting, which has been told then."""


def made(
    key: str, type_: ResourceType, entry: Written, environ: Mapping[str, str]
) -> tuple[object | None, list[Problem]]:
    """The resource called ``key``, or everything that is wrong with it. Values that may be secret are in no message."""
    if isinstance(entry.value, type_.kind):
        return entry.value, []
    if isinstance(entry.value, MakesResource):
        return entry.value.as_resource(key), []
    if not isinstance(entry.value, dict):
        found = "nothing" if entry.value is None else "text" if isinstance(entry.value, str) else _kind(entry.value)
        mend = f"Write them below it, such as: {type_.example}"
        return None, [problem(key, entry.key, f"{type_.title} is a mapping of settings, found {found}", mend)]
    kind, problems = _kind_of(key, type_, entry, environ)
    if kind is None:
        return None, problems
    reading = _Reading(key, type_, kind, entry, environ)
    values = reading.values()
    settings = reading.checked(values)
    if reading.problems or settings is None:
        return None, sorted(reading.problems, key=lambda one: (one.line, one.column))
    try:
        return kind.make(key, settings), []
    except UsageError as error:  # what the record itself finds
        return None, [problem(key, entry.key, str(error))]


_OLDER = "_class"
"""What ``type:`` was once called; its values are names of classes."""


def _kind_of(
    key: str, type_: ResourceType, entry: Written, environ: Mapping[str, str]
) -> tuple[ResourceKind | None, list[Problem]]:
    """The kind that the settings name, or what is wrong with that."""
    if len(type_.kinds) == 1 and not type_.kinds[0].name:
        return type_.kinds[0], []
    names = [kind.name for kind in type_.kinds]
    older = {spelling: kind.name for kind in type_.kinds for spelling in kind.classes}
    given = [name for name in ("type", _OLDER) if name in entry.value]
    if len(given) != 1:
        both = (
            "type and _class are two names of one setting" if given else f"type is missing: which {type_.title} is it?"
        )
        mend = "Leave one of them out." if given else f"Write type: {' or '.join(names)}."
        return None, [problem(key, entry.key, both, mend)]
    one = entry.value[given[0]]
    text = one.value
    if isinstance(text, str) and "${" in text:
        try:
            text = expanded(parts_of(text), environ, [])
        except VariableFault as fault:
            return None, [problem(key, one.place, f"{given[0]} {fault.message}", fault.mend)]
    name = older.get(text, text) if given[0] == _OLDER else text
    for kind in type_.kinds:
        if kind.name == name:
            return kind, []
    known = [*older] if given[0] == _OLDER else names
    near = nearest(text, known)
    mend = f"Did you mean {near}?" if near else f"There are: {', '.join(known)}."
    found = shown(text) if isinstance(text, str) else _kind(text)
    return None, [problem(key, one.place, f"{given[0]}: {found} is no kind of {type_.category}", mend)]


class _Reading:
    """The settings of one resource on their way, with what is wrong with them."""

    def __init__(
        self, key: str, type_: ResourceType, kind: ResourceKind, entry: Written, environ: Mapping[str, str]
    ) -> None:
        self._kind = kind
        self.problems: list[Problem] = []
        self._key = key
        self._type = type_
        self._entry = entry
        self._environ = environ
        self._written: dict[Path, Written] = {(): entry}
        self._spelt: dict[str, str] = {}  # settings by their own names, as they were written
        self._given: dict[Path, str] = {}  # what variables gave
        self._told: set[Path] = set()

    def values(self) -> dict[str, Any]:
        """The settings by their own names, variables filled in."""
        found: dict[str, Any] = {}
        several = bool(self._kind.name)
        for name, one in self._entry.value.items():
            if several and name in ("type", _OLDER):
                continue
            field = self._kind.spellings.get(name, name)
            if field in found:
                message = f"{name} and {self._spelt[field]} are two names of one setting"
                self.problems.append(problem(self._key, one.key, message, "Leave one of them out."))
                continue
            self._spelt[field] = name
            found[field] = self._value(one, (field,))
        return found

    def _mapping(self, one: Written, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, inner in one.value.items():
            field = self._kind.spellings.get(f"{path[-1]}.{name}", name) if len(path) == 1 else name
            if field in found:
                self._tell((*path, field), f"and {name} are two names of one setting", "Leave one of them out.")
                continue
            found[field] = self._value(inner, (*path, field))
        return found

    def _value(self, one: Written, path: Path) -> Any:
        self._written[path] = one
        if isinstance(one.value, dict):
            return self._mapping(one, path)
        if isinstance(one.value, list):
            return [self._value(inner, (*path, number)) for number, inner in enumerate(one.value)]
        if not isinstance(one.value, str) or "${" not in one.value:
            return one.value
        unset: list[str] = []
        try:
            parts = parts_of(one.value)
        except VariableFault as fault:
            self._tell(path, fault.message, fault.mend)
            return _WRONG
        text = expanded(parts, self._environ, unset)
        for name in unset:
            mend = f"Set it, or write a default behind it: ${{{name}:default}}"
            self._tell(path, f"needs the variable {name}, which is not set and has no default", mend)
        if unset:
            return _WRONG
        if names_in(parts):
            self._given[path] = text
        return text

    def checked(self, values: dict[str, Any]) -> BaseModel | None:
        """The settings as their type has them; ``None`` if something is wrong."""
        from pydantic import ValidationError

        try:
            return self._kind.model().model_validate(values)
        except ValidationError as error:
            # Its message has the values in it: it is read here, and is not even the context of what is raised.
            details = error.errors(include_url=False, include_context=False, include_input=False)
        for detail in details:
            self._explain(detail)
        return None

    def _explain(self, detail: ErrorDetails) -> None:
        path: Path = detail["loc"]
        message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if detail["type"] == "missing":
            above = self._at(path[:-1])
            message = f"{self._name(path)} is missing"
            self.problems.append(problem(self._key, self._written[above].key, message))
            return
        path = self._at(path)
        if path in self._told:
            return
        if detail["type"] == "extra_forbidden":
            self._unknown(path)
            return
        found = self._found(path)
        if self._may_tell(path, detail["type"], message):
            message = "is not valid"
        message = message.split(", unable to parse")[0]
        self._tell(path, f"{message}, found {found}" if path else message)

    def _unknown(self, path: Path) -> None:
        name = str(path[-1])
        mend = ""
        if len(path) == 1:
            fields = self._kind.model().model_fields
            near = nearest(name, [*fields, *self._kind.spellings])
            mend = f"Did you mean {near}?" if near else f"There are: {', '.join(fields)}."
        self.problems.append(
            problem(self._key, self._written[path].key, f"{self._name(path)} is no setting of {self._type.title}", mend)
        )
        self._told.add(path)

    def _tell(self, path: Path, message: str, mend: str = "") -> None:
        self._told.add(path)
        at = self._written[path]
        message = f"{self._name(path)} {message}" if path else message
        self.problems.append(problem(self._key, at.place if path else at.key, message, mend))

    def _at(self, path: Path) -> Path:
        """The part of ``path`` that was written: pydantic adds which of several types it speaks of."""
        while path not in self._written:
            path = path[:-1]
        return path

    def _name(self, path: Path) -> str:
        name = ""
        for number, part in enumerate(path):
            spelt = self._spelt.get(str(part), str(part)) if not number else part
            name += f"[{part}]" if isinstance(part, int) else f".{spelt}" if name else str(spelt)
        return name

    def _found(self, path: Path) -> str:
        """What was found, where it can be shown."""
        value = self._written[path].value
        if self._is_secret(path):
            return "a value that is not shown"
        if isinstance(value, str):
            if path in self._given:
                return "what " + ", ".join(f"${{{name}}}" for name in names_in(parts_of(value))) + " gives"
            return shown(value)
        return "nothing" if value is None else _kind(value)

    def _may_tell(self, path: Path, kind: str, message: str) -> bool:
        """Whether the message, in words of whoever wrote the model, may have a value in it that is not to be shown."""
        if path not in self._given and not self._is_secret(path):
            return False
        text = str(self._given.get(path, self._written[path].value))
        return kind in ("value_error", "assertion_error") or (len(text) > 3 and text in message)

    def _is_secret(self, path: Path) -> bool:
        value = self._written[path].value
        text = self._given.get(path, value)
        return any(isinstance(part, str) and is_secret_name(part) for part in path) or (
            isinstance(text, str) and looks_secret(text)
        )


def _kind(value: object) -> str:
    """A value that is no text, or what it is, if it could hold anything."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        return "a list"
    return f"a {type(value).__name__}"
