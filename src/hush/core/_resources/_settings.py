"""From settings as they were written to a resource: variables, names, the model of its type, and all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core._resources._kinds import chosen
from hush.core._resources._registry import Category
from hush.core._resources._secret_names import is_secret_name
from hush.core._resources._secrets import looks_secret, remember_secrets, without_secrets
from hush.core._resources._shape import fields_at, is_secret_at
from hush.core._resources._types import Fault, MakesResource, ResourceKind, ResourceType
from hush.core._resources._variables import VariableFault, expanded, names_in, parts_of
from hush.core._resources._written import Written, problem, secrets_in, shown
from hush.core.errors import Problem, UsageError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Path: TypeAlias = "tuple[str | int, ...]"
_WRONG: Any = object()
"""In place of a value whose variables are wrong: it is no value of any setting, which has been told then."""


def made(
    key: str, category: Category, entry: Written, environ: Mapping[str, str]
) -> tuple[object | None, list[Problem]]:
    """The resource called ``key``, or everything that is wrong with it. Values that may be secret are in no message."""
    type_ = category.type
    if isinstance(entry.value, type_.kind):
        return entry.value, []
    if _is_resource(entry.value):
        of, colon, _ = str(entry.value.name).partition(":")
        if colon and of != type_.category:
            return None, [
                problem(key, entry.key, f"{entry.value.name} is of {of}:, and cannot stand for {type_.title}")
            ]
        return entry.value, []
    if isinstance(entry.value, MakesResource):
        return entry.value.as_resource(key), []
    remember_secrets(secrets_in(entry, environ, surely=True))
    if not isinstance(entry.value, dict):
        found = "nothing" if entry.value is None else "text" if isinstance(entry.value, str) else _kind(entry.value)
        mend = f"Write them below it, such as: {type_.example}"
        return None, [problem(key, entry.key, f"{type_.title} is a mapping of settings, found {found}", mend)]
    (kind, by), problems = chosen(key, category, entry, environ)
    if kind is None:
        return None, problems
    try:
        kind.model()
    except Exception as error:  # it is imported now; a third party's may not be there
        said = f"its settings cannot be read: {type(error).__name__}: {error}"
        return None, [problem(key, entry.key, said)]
    reading = _Reading(key, type_, kind, by, entry, environ)
    values = reading.values()
    settings = reading.checked(values)
    if reading.problems or settings is None:
        return None, sorted(reading.problems, key=lambda one: (one.line, one.column))
    try:
        return kind.make(key, settings), []
    except UsageError as error:  # what the record itself finds
        said = str(error)
    except Exception as error:  # of a third party's kind
        said = f"it cannot be made: {type(error).__name__}: {error}"
    return None, [problem(key, entry.key, without_secrets(said, secrets_in(entry, environ)))]


def _is_resource(value: object) -> bool:
    """Whether code gave a resource of its own: what ``Resource`` describes."""
    return callable(getattr(value, "open", None)) and all(hasattr(value, one) for one in ("name", "limit", "identity"))


class _Reading:
    """The settings of one resource on their way, with what is wrong with them."""

    def __init__(
        self,
        key: str,
        type_: ResourceType,
        kind: ResourceKind,
        by: tuple[str, ...],
        entry: Written,
        environ: Mapping[str, str],
    ) -> None:
        self._kind = kind
        self._by = by
        self.problems: list[Problem] = []
        self._key = key
        self._type = type_
        self._entry = entry
        self._environ = environ
        self._written: dict[Path, Written] = {(): entry}
        self._spelt: dict[Path, str] = {}  # the names of settings as they were written
        self._given: dict[Path, str] = {}  # what variables gave
        self._told: set[Path] = set()

    def values(self) -> dict[str, Any]:
        """The settings by their own names, variables filled in."""
        return self._mapping(self._entry, ())

    def _mapping(self, one: Written, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        spellings = self._kind.spellings
        for name, inner in one.value.items():
            if not path and name in self._by:
                continue
            field = name
            if len(path) < 2:
                field = spellings.get(f"{path[-1]}.{name}" if path else name, name)
            at = (*path, field)
            if field in found:
                first = self._spelt[at]
                message = f"{'.'.join(str(part) for part in (*path, name))} and {first} are two names of one setting"
                self.problems.append(problem(self._key, inner.key, message, "Leave one of them out."))
                continue
            self._spelt[at] = name
            found[field] = self._value(inner, at)
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

        if self._kind.faults is not None:
            for fault in self._kind.faults(values):
                self._blame(fault)
        try:
            return self._kind.model().model_validate(values)
        except ValidationError as error:
            # Its message has the values in it: it is read here, and is not even the context of what is raised.
            details = error.errors(include_url=False, include_context=False, include_input=False)
        for detail in details:
            self._explain(detail)
        return None

    def _blame(self, fault: Fault) -> None:
        at: Path = (fault.setting,)
        if at in self._written:
            if at not in self._told:
                self._tell(at, fault.message, fault.mend)
            return
        self._told.add(at)
        message = f"{fault.setting} {fault.message}"
        self.problems.append(problem(self._key, self._entry.key, message, fault.mend))

    def _explain(self, detail: ErrorDetails) -> None:
        path: Path = detail["loc"]
        message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if path in self._told:
            return
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
        name, above = str(path[-1]), path[:-1]
        message = f"{self._name(path)} is no setting of {self._type.title}"
        mend = self._kind.dropped.get(name, "") if not above else ""
        if not mend:
            fields = fields_at(self._kind.model(), above) or []
            before = "".join(f"{part}." for part in above)
            short = [each.removeprefix(before) for each in self._kind.spellings if each.startswith(before)]
            near = nearest(name, [*fields, *(each for each in short if "." not in each)])
            mend = f"Did you mean {near}?" if near else f"There are: {', '.join(fields)}." if fields else ""
        self.problems.append(problem(self._key, self._written[path].key, message, mend))
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
        for number, part in enumerate(path, 1):
            spelt = self._spelt.get(path[:number], str(part))
            spelt = "[a name that is not shown]" if looks_secret(spelt) else spelt
            name += f"[{part}]" if isinstance(part, int) else f".{spelt}" if name else spelt
        return name

    def _found(self, path: Path) -> str:
        """What was found, where it can be shown."""
        value = self._written[path].value
        given = self._given.get(path)
        if given is not None:
            names = ", ".join(f"${{{name}}}" for name in names_in(parts_of(value)))
            return f"what {names} gives" + ("" if given.strip() else ", which is empty")
        if isinstance(value, str) and not value.strip():
            return "empty text"
        if self._is_secret(path):
            return "a value that is not shown"
        if isinstance(value, str):
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
        return (
            any(isinstance(part, str) and is_secret_name(part) for part in path)
            or (isinstance(text, str) and looks_secret(text))
            or is_secret_at(self._kind.model(), path, text)
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
