"""``ResourceHub``: resources by their names, each made once."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hush.core._expr._where import caller
from hush.core._spec._policies import Limit
from hush.core.errors import Problem, ResourceError, UsageError, nearest

if TYPE_CHECKING:
    from hush.core._resources._checking import Checked
    from hush.core._resources._written import Written

_MOST_PROBLEMS = 20
_KEY = r"[a-z][a-z0-9_-]*:[^\s${}]+"


class ResourceHub:
    """What graphs name instead of having it written into them: limits, by ``limit:name``.

    Settings come from code, ``ResourceHub({"limit:crm": {"per_second": 5}})``, from a file,
    ``ResourceHub(path="resources.yaml")``, or from where such a file is looked for, ``ResourceHub.default()``. A key
    that is in both ``settings`` and the file is taken from ``settings``.

    A resource is looked at when it is first needed: only then must its variables be set and its settings be right. It
    is made once for a hub, so all that name it share it, also from several threads; two hubs share nothing. What was
    read is not read again.

    Args:
        settings: Settings by ``category:name``; a ``Limit(...)`` may stand in place of its settings.
        path: A file of such settings in YAML.

    Raises:
        ResourceError: The file cannot be read or is no safe YAML, or keys are no ``category:name``.
    """

    _defaults: ClassVar[dict[str, tuple[object, ResourceHub]]] = {}  # by path, with what changes when the file does
    _defaults_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, settings: Mapping[str, Any] | None = None, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        from hush.core._resources._files import absolute, read
        from hush.core._resources._written import Place, written

        if settings is not None and not isinstance(settings, Mapping):
            hint = f" For a file write ResourceHub(path={settings!r})." if isinstance(settings, str) else ""
            raise UsageError(f"ResourceHub({settings!r}): settings are a mapping from category:name.{hint}")
        if path is not None and not isinstance(path, str | os.PathLike):
            raise UsageError(f"ResourceHub(path={path!r}): it is the path of a file.")
        self._entries: dict[str, Written] = {}
        self._sources: list[str] = []  # where resources of it are written, for errors
        self._looked: list[str] = []  # where a file was looked for in vain
        self._file: str | None = None
        self._made: dict[str, object] = {}
        self._lock = threading.RLock()
        if path is not None:
            self._file = absolute(path)
            self._add(read(self._file), self._file)
        if settings is not None:
            where = caller()
            self._add(written(settings, Place(where.file, where.line)), str(where))

    @classmethod
    def default(cls, *, fresh: bool = False) -> ResourceHub:
        """The hub of the file that is looked for: ``HUSH_CONFIG``, ``./resources.yaml``, ``~/.hush/resources.yaml``.

        The first that is there is read; one that ``HUSH_CONFIG`` names must be. What the variable ``HUSH_RESOURCES``
        holds, the text of such a file, goes before it, key by key. Without any, the hub is empty. It is one hub for
        the process, so that all engines share its limits, until the file or the variable changes; ``fresh=True``
        reads them again in any case.

        Raises:
            ResourceError: The file cannot be read or is no safe YAML.
        """
        from hush.core._resources._files import TEXT, VARIABLE, candidates, find, read, read_text, stamp, text

        with cls._defaults_lock:
            path, given = find(), text()
            now = None if path is None else stamp(path), hash(given)  # the text itself may hold keys
            known = cls._defaults.get(path or "")
            if known is not None and known[0] == now and not fresh:
                return known[1]
            hub = cls()
            if path is not None:
                hub._file = path
                hub._add(read(path, VARIABLE if os.environ.get(VARIABLE) else ""), path)
            if given is not None:
                hub._add(read_text(given), TEXT)
            elif path is None:
                hub._looked = [f"{TEXT} (not set)", f"{VARIABLE} (not set)", *(shown for _, shown in candidates())]
            cls._defaults[path or ""] = now, hub
            return hub

    def limit(self, name: str) -> Limit:
        """The limit called ``name``, ``"crm"`` or ``"limit:crm"``: the same object each time.

        Raises:
            ResourceError: There is none, or its settings are wrong: with everything that is, and each place.
        """
        found = resource_in(self, "limit", name)
        assert isinstance(found, Limit)
        return found

    def keys(self) -> tuple[str, ...]:
        """All keys, ``"limit:crm"``, in the order in which they were written."""
        return tuple(self._entries)

    def check(self, *, open: bool = True, timeout_s: float = 5.0) -> Checked:  # noqa: A002  # what it says
        """Look at every resource, and try each that can be opened: ``print(hub.check())`` says what works.

        Each is opened, asked for the least that shows that its address, certificate, key and model are right, and
        closed; all at once. It costs nothing or next to nothing, and limits do not hold it. It works in a script and
        where a loop is running (notebooks), which it holds up meanwhile: in async code that serves others write
        ``await asyncio.to_thread(hub.check)``.

        Args:
            open: ``False`` looks at the settings only: variables that are not set, settings that are wrong.
            timeout_s: How long each may take.

        Returns:
            What is wrong, a list of ``Problem``, empty if everything works; ``.works`` has what does, by key.
        """
        from hush.core._resources._checking import Checked, checked

        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
            raise UsageError(f"check(timeout_s={timeout_s!r}): it is a number of seconds above 0.")
        result = Checked()
        ready: dict[str, tuple[object, Written]] = {}
        for key, entry in self._entries.items():
            made, problems = self._make(key)
            if problems:
                result.extend(problems)
                result.fails[key] = problems
            else:
                ready[key] = made, entry
        checked(ready, result, timeout_s if open else None)
        return result

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<ResourceHub: {', '.join(self._entries) or 'empty'}>"

    def _add(self, found: Any, source: str) -> None:
        """Take over the entries of one document; ``ResourceError`` if its keys are wrong."""
        from hush.core._resources._registry import categories
        from hush.core._resources._written import problem, resource_error, shown

        if found.value is not None and not isinstance(found.value, dict):
            message = "it holds no mapping from category:name to settings"
            raise resource_error(source, [problem("the document", found.place, message)])
        problems: list[Problem] = []
        entries = found.value or {}
        for key, entry in entries.items():
            if not re.fullmatch(_KEY, key):
                inner = list(entry.value) if isinstance(entry.value, dict) else []
                name = inner[0] if inner and isinstance(entry.value[inner[0]].value, dict) else "name"
                category = key.partition(":")[0].strip()
                mend = f"Write {category if category in categories() else 'limit'}:{name}, and the settings below it."
                message = f"the key {shown(key)} is no category:name, such as limit:crm"
                problems.append(problem("the document", entry.key, message, mend))
        problems[_MOST_PROBLEMS:] = []
        if problems:
            raise resource_error(source, problems)
        self._sources.append(source)
        self._entries.update(entries)

    def _key(self, category: str, name: str) -> str | None:
        """The key of ``name``, bare or prefixed; ``None`` if it is not there."""
        if not isinstance(name, str):
            raise UsageError(f"{name!r} is no name of a resource: it is a string, such as 'crm'.")
        keys = (name, f"{category}:{name}") if name.startswith(f"{category}:") else (f"{category}:{name}",)
        return next((key for key in keys if key in self._entries), None)

    def _make(self, key: str) -> tuple[object | None, list[Problem]]:
        """The resource under ``key``, made if it is not yet, or what is wrong with it. What is wrong is not kept."""
        from hush.core._resources._registry import Broken, categories, category
        from hush.core._resources._settings import made
        from hush.core._resources._written import problem

        with self._lock:
            if key in self._made:
                return self._made[key], []
            name = key.partition(":")[0]
            at = self._entries[key].key
            try:
                found_in = category(name)
            except Broken as error:
                return None, [problem(key, at, str(error), "Install that distribution anew, or ask its authors.")]
            if found_in is None:
                near = nearest(name, categories())
                mend = f"Did you mean {near}?" if near else f"There are: {', '.join(categories())}."
                return None, [problem(key, at, f"{name} is no kind of resource", mend)]
            found, problems = made(key, found_in, self._entries[key], os.environ)
            if not problems:
                self._made[key] = found
            return found, problems

    def _absence(self, category: str, name: str) -> Problem:
        """What to say where ``name`` is not there."""
        bare = name.removeprefix(f"{category}:")
        of_kind = [key.partition(":")[2] for key in self._entries if key.startswith(f"{category}:")]
        near = nearest(bare, of_kind)
        others = [key for key in self._entries if not key.startswith(f"{category}:")]
        other = name if name in others else nearest(f"{category}:{bare}", others)
        if self._looked:
            looked = f"no file was found; looked for: {', '.join(self._looked)}"
        else:
            looked = f"looked in: {', '.join(self._sources) or 'an empty hub'}"
        message = f"there is no {category}:{bare} ({looked})"
        hint = ""
        if near is not None:
            place = self._entries[f"{category}:{near}"].key
            hint = f"Did you mean {near!r} ({place.file}:{place.line})? "
        elif other is not None:
            place = self._entries[other].key
            hint = f"There is {other} ({place.file}:{place.line}), which is something else. "
        elif of_kind:
            hint = f"There are: {', '.join(of_kind[:20])}. "
        where = self._file or (self._sources[-1] if self._sources else "./resources.yaml")
        lines = _example(category).replace("\n", "\n          ")
        add = f"{category}:{bare}:\n          {lines}"
        mend = f"{hint}{'Else add' if hint else 'Add'} to {where}:\n        {add}"
        return Problem(f"{category}:{bare}", where, 0, message, mend)


def resource_in(hub: ResourceHub | None, category: str, name: str) -> object:
    """The resource called ``name``, bare or with its category, of ``hub``, else of the one that is looked for.

    It is made when it is first asked for, the same object each time, and not opened. For what is served by resources
    without being a node, such as a tracer; what a node's ``resource_key=`` names, the engine looks up by itself.

    Raises:
        ResourceError: There is none, or its settings are wrong: with everything that is, and each place.
    """
    from hush.core._resources._written import resource_error

    hub = ResourceHub.default() if hub is None else hub
    key = hub._key(category, name)
    if key is None:
        absent = hub._absence(category, name)
        raise ResourceError(f"{absent.message}\n    {absent.mend}", [absent])
    found, problems = hub._make(key)
    if problems:
        raise resource_error(f"the resource {key}", problems)
    return found


def _example(name: str) -> str:
    """Settings of a resource of the category called ``name``."""
    from hush.core._resources._registry import Broken, category

    try:
        found = category(name)
    except Broken:
        found = None
    return "settings" if found is None else found.type.example
