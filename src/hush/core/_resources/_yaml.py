"""YAML read safely, and with the place of each value.

The text is taken as PyYAML's events, so nothing is made by tags and no alias is copied out: an alias is the value it
names once more, and counts as often as it stands. Plain words mean what YAML 1.2's core schema says
(https://yaml.org/spec/1.2.2/#103-core-schema): ``on``, ``yes``, ``1:30`` and ``2024-01-01`` are text. So are numbers
with zeros in front, which YAML 1.1 takes for octal. ``<<`` merges, as in YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hush.core._resources._written import MOST_LEVELS, MOST_VALUES, Place, Written, problem, resource_error, shown
from hush.core.errors import Problem

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_OTHER_INT = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DOCUMENT = "the document"
_MOST_PROBLEMS = 20
_LINE_ENDS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as PyYAML counts lines


def parse(text: str, file: str) -> Written:
    """The one document that ``text`` holds; its value is ``None`` if it holds none.

    Raises:
        ResourceError: What is wrong with the text: the first mistake of its syntax, with all of duplicate keys, tags
            and unknown aliases before it. It shows nothing of the text but keys: a password without quotes may be
            read as a tag or an alias.
    """
    reading = _Reading(file)
    syntax = _syntax_problem(reading, text)
    problems = sorted(reading.problems, key=lambda one: (one.line, one.column))
    problems += [syntax] if syntax is not None else []
    if problems:
        raise resource_error(file, problems)
    return reading.root


def _syntax_problem(reading: _Reading, text: str) -> Problem | None:
    """Read ``text``, and give what stopped it.

    What PyYAML raises quotes the text, so it is not even kept as the context of an error.
    """
    import yaml
    from yaml.reader import ReaderError

    try:
        # The parser in Python, not the one in C: it is there everywhere, and its words are the same everywhere.
        reading.read(yaml.parse(text, Loader=yaml.SafeLoader))
    except _TooMuch as too_much:
        return too_much.problem
    except ReaderError as error:
        ends = [match.end() for match in _LINE_ENDS.finditer(text, 0, error.position)]
        place = Place(reading.file, len(ends) + 1, error.position - (ends[-1] if ends else 0) + 1)
        return problem(_DOCUMENT, place, f"the character U+{error.character:04X} is not allowed in YAML")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(reading.file) if mark is None else Place(reading.file, mark.line + 1, mark.column + 1)
        said = ", ".join(str(part) for part in (error.context, error.problem) if part).partition(" handle ")[0]
        return problem(_DOCUMENT, place, f"this is no YAML: {said}", _mend(said))
    return None


def _mend(said: str) -> str:
    if "mapping values are not allowed" in said:
        return "A key like limit:crm has no blank after its first colon; text with a colon and a blank in it is quoted."
    if "'\\t'" in said:
        return "YAML is indented with blanks, not with tabs."
    return ""


class _TooMuch(Exception):
    def __init__(self, found: Problem) -> None:
        super().__init__(found.message)
        self.problem = found


class _Reading:
    """One document being read. ``root`` is what it holds."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root = Written(None, Place(file, 1, 1), Place(file, 1, 1))
        self._anchors: dict[str, tuple[Written, int] | None] = {}  # with their sizes; None while still open
        self._events: Iterator[Any] = iter(())

    def read(self, events: Iterator[Any]) -> None:
        import yaml

        self._events = events
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._too_much(event, "there is a second document", "Leave out the line of three dashes.")
                self.root, _ = self._value(next(events), 0)

    def _value(self, event: Any, level: int) -> tuple[Written, int]:
        """The value that begins with ``event``, and how many values it holds, itself included."""
        import yaml

        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._named(event, place)
        if level > MOST_LEVELS:
            raise self._too_much(event, f"values lie in each other deeper than {MOST_LEVELS} levels")
        if event.tag is not None:
            self._told(place, "a tag is not taken", "Leave it out; text that begins with ! is quoted.")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        value: Any
        size = 1
        if isinstance(event, yaml.ScalarEvent):
            value = _plain(event.value) if event.implicit[0] else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            for inner in self._events:
                if isinstance(inner, yaml.SequenceEndEvent):
                    break
                one, more = self._value(inner, level + 1)
                value.append(one)
                size = self._grown(inner, size + more)
        else:
            value, size = self._mapping(level)
        made = Written(value, place, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = made, size
        return made, size

    def _mapping(self, level: int) -> tuple[dict[str, Written], int]:
        import yaml

        found: dict[str, Written] = {}
        merged: list[dict[str, Written]] = []
        seen: dict[str, Place] = {}
        size = 1
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            at = self._place(event)
            _, more = self._value(event, level + 1)
            one, many = self._value(next(self._events), level + 1)
            size = self._grown(event, size + more + many)
            if not isinstance(event, yaml.ScalarEvent):
                self._told(at, "a key is a word or text, not a list, a mapping or an alias")
                continue
            name = event.value
            if name in seen:
                self._told(at, f"the key {shown(name)} stands here a second time, first in line {seen[name].line}")
                continue
            seen[name] = at
            if name == "<<" and event.implicit[0]:
                merged += self._merged(one, at)
            else:
                found[name] = Written(one.value, one.place, at)
        for more_keys in merged:  # what is written here goes first, then the merged ones in their order
            for name, one in more_keys.items():
                found.setdefault(name, one)
        return found, size

    def _merged(self, one: Written, at: Place) -> list[dict[str, Written]]:
        listed = [part.value for part in one.value] if isinstance(one.value, list) else [one.value]
        if all(isinstance(part, dict) for part in listed):
            return listed
        self._told(at, "<< merges a mapping, or a list of mappings", "Write it like this: <<: *name")
        return []

    def _named(self, event: Any, place: Place) -> tuple[Written, int]:
        if event.anchor not in self._anchors:
            self._told(place, "an alias names nothing above it", "Text that begins with * is quoted.")
        elif (known := self._anchors[event.anchor]) is not None:
            value, size = known
            return Written(value.value, value.place, place), size
        else:
            self._told(place, "an alias lies in what it names")
        return Written(None, place, place), 1

    def _grown(self, event: Any, size: int) -> int:
        if size > MOST_VALUES:
            raise self._too_much(event, f"there are more than {MOST_VALUES} values, counting what aliases repeat")
        return size

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _told(self, place: Place, message: str, mend: str = "") -> None:
        self.problems.append(problem(_DOCUMENT, place, message, mend))
        if len(self.problems) == _MOST_PROBLEMS:
            raise _TooMuch(problem(_DOCUMENT, place, "there may be more behind this, which has not been read"))

    def _too_much(self, event: Any, message: str, mend: str = "") -> _TooMuch:
        return _TooMuch(problem(_DOCUMENT, self._place(event), message, mend))


def _plain(text: str) -> object:
    """What a word without quotes means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OTHER_INT.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float("nan") if special[3] else float(f"{special[1]}inf")
    return text
