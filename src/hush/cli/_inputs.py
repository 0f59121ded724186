"""The inputs of runs: ``--input k=v``, and files of one run, ``.json``, or of one run a line, ``.jsonl``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn, TextIO

from hush.cli._exit import Stop, usage
from hush.cli._safe import safe


class Line(NamedTuple):
    """The inputs of one of several runs, or what is wrong with its line."""

    number: int
    inputs: dict[str, Any]
    wrong: str = ""


class Inputs(NamedTuple):
    """What is to be run: one run, or a run for each line.

    Attributes:
        one: The inputs of the only run.
        lines: One for each run, read as they are asked for; ``None`` if there is one run only.
        waits: Whether asking for the next line may take long, because somebody has yet to write it.
    """

    one: dict[str, Any]
    lines: Iterator[Line] | None
    waits: bool = False


def pairs_of(given: Iterable[str]) -> dict[str, Any]:
    """What ``--input k=v`` says: ``v`` is JSON if it can be read as that, else it is the text itself."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise usage(f"--input {pair}: write it as name=value")
        if name in found:
            raise usage(f"--input {name}=… is there twice")
        try:
            found[name] = _read(text)
        except ValueError:
            found[name] = text
    return found


@contextmanager
def inputs_of(path: str | None, pairs: dict[str, Any]) -> Generator[Inputs]:
    """The inputs that a file and ``--input`` give; the latter go first. The file is open until the block ends.

    ``-`` is standard input: of one run a line if its first line is an object of JSON by itself, else of one run.

    Raises:
        Stop: The file cannot be read, or is not JSON; a line that is not does no harm to the others.
    """
    if path is None:
        yield Inputs(pairs, None)
        return
    with _opened(path) as file:
        if path != "-":
            by_line = path.lower().endswith((".jsonl", ".ndjson"))
            yield Inputs({}, _lines(file, [], pairs)) if by_line else Inputs(_document(file.read(), path) | pairs, None)
            return
        first, blank = file.readline(), 0
        while first.isspace():
            first, blank = file.readline(), blank + 1
        try:
            by_line = isinstance(_read(first), dict)
        except ValueError:
            by_line = False
        if by_line:
            yield Inputs({}, _lines(file, [first], pairs, blank), waits=True)
        else:
            yield Inputs(_document(first + file.read(), "standard input") | pairs, None)


@contextmanager
def _opened(path: str) -> Generator[TextIO]:
    try:
        if path == "-":
            yield sys.stdin
            return
        with open(os.path.expanduser(path), encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        if error.filename is None:
            raise  # it is of the block, and not of the file
        raise usage(f"--inputs {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise usage(f"--inputs {path}: it is not written in UTF-8") from error


def _lines(file: TextIO, first: list[str], pairs: dict[str, Any], number: int = 0) -> Iterator[Line]:
    for lines in (first, file):
        for line in lines:
            number += 1
            if not line.isspace():
                try:
                    yield Line(number, _document(line, f"line {number}") | pairs)
                except Stop as wrong:
                    yield Line(number, {}, str(wrong).removeprefix("hush: "))


def _document(text: str, name: str) -> dict[str, Any]:
    if not text.strip():
        raise usage(f"{name}: it is empty; an object of JSON has the inputs by name")
    try:
        found = _read(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        hint = ". A file with one run a line is called .jsonl" if error.msg == "Extra data" else ""
        raise usage(f"{name}: it is no JSON: {error.msg} ({place}){hint}") from error
    except ValueError as error:
        raise usage(f"{name}: it is no JSON: {error}") from error
    if not isinstance(found, dict):
        hint = ": write one a line into a .jsonl to run them all" if isinstance(found, list) else ""
        raise usage(f"{name}: it is no object with the inputs by name, but a {type(found).__name__}{hint}")
    return found


def _read(text: str) -> Any:
    """``ValueError`` where it is no JSON; ``NaN`` and the infinities are none."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{safe(name)} is no number of JSON")
