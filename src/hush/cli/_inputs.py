"""The inputs of runs: ``--input k=v``, and files of one run, ``.json``, or of one run a line, ``.jsonl``."""

from __future__ import annotations

import json
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any, NamedTuple, NoReturn, TypeAlias

from hush.cli._exit import Stop, usage
from hush.cli._safe import safe

Raw: TypeAlias = str | bytes


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
        lines = _raw(file, path)
        if path != "-":
            by_line = path.lower().endswith((".jsonl", ".ndjson"))
            yield Inputs({}, _lines(lines, pairs)) if by_line else Inputs(_whole(lines, path) | pairs, None)
            return
        first: list[Raw] = []
        for line in lines:
            first.append(line)
            if not _is_blank(line):
                break
        if first and _is_object(first[-1]):
            yield Inputs({}, _lines(chain(first, lines), pairs), waits=True)
        else:
            yield Inputs(_whole(chain(first, lines), "standard input") | pairs, None)


@contextmanager
def _opened(path: str) -> Generator[IO[Any]]:
    if path == "-":
        yield getattr(sys.stdin, "buffer", sys.stdin)  # what stands in for it may know text only
        return
    try:
        file = open(os.path.expanduser(path), "rb")  # noqa: SIM115  # what the block raises is not of the file
    except OSError as error:
        raise usage(f"--inputs {path}: {error.strerror}") from error
    with file:
        yield file


def _raw(file: IO[Any], path: str) -> Iterator[Raw]:
    """The lines as they are written: each is decoded by itself, so that one that cannot be harms no other."""
    try:
        yield from file
    except OSError as error:
        raise usage(f"--inputs {path}: {error.strerror}") from error


def _is_blank(line: Raw) -> bool:
    return not (line if isinstance(line, str) else line.removeprefix(BOM_UTF8)).strip()


def _is_object(line: Raw) -> bool:
    """Whether a line is meant as the inputs of one run, also if its text is damaged."""
    try:
        return isinstance(_read(line if isinstance(line, str) else line.decode("utf-8-sig", "replace")), dict)
    except ValueError:
        return False


def _lines(lines: Iterable[Raw], pairs: dict[str, Any]) -> Iterator[Line]:
    for number, line in enumerate(lines, 1):
        if _is_blank(line):
            continue
        try:
            text = _decoded(line, f"line {number}", one_line=True, begins=number == 1)
            inputs = _object(text.rstrip("\r\n"), f"line {number}", one_line=True)
        except Stop as wrong:
            yield Line(number, {}, str(wrong).removeprefix("hush: "))
        else:
            yield Line(number, inputs | pairs)


def _whole(lines: Iterable[Raw], name: str) -> dict[str, Any]:
    """The only object of a file."""
    parts = list(lines)
    raw: Raw = "".join(parts) if parts and isinstance(parts[0], str) else b"".join(parts)  # type: ignore[arg-type]
    return _object(_decoded(raw, name, one_line=False, begins=True), name, one_line=False)


def _decoded(raw: Raw, name: str, *, one_line: bool, begins: bool) -> str:
    """The text; ``begins``: it may have the mark with which some editors begin files."""
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8-sig" if begins else "utf-8")
    except UnicodeDecodeError as error:
        known = error.object[: error.start].decode("utf-8", "replace")
        line, column = known.count("\n") + 1, len(known) - known.rfind("\n")
        place = _place(line, column, one_line=one_line)
        wrong = f"byte 0x{error.object[error.start]:02x} in {place}"
        raise usage(f"{name}: it is not written in UTF-8: {wrong}") from error


def _place(line: int, column: int, *, one_line: bool) -> str:
    """Where something is wrong; of a line whose number has been told only where in it."""
    return f"column {column}" if one_line else f"line {line}, column {column}"


def _object(text: str, name: str, *, one_line: bool) -> dict[str, Any]:
    if not text.strip():
        raise usage(f"{name}: it is empty; an object of JSON has the inputs by name")
    try:
        found = _read(text)
    except json.JSONDecodeError as error:
        place = _place(error.lineno, error.colno, one_line=one_line)
        hint = ". A file with one run a line is called .jsonl" if error.msg == "Extra data" and not one_line else ""
        raise usage(f"{name}: it is no JSON: {error.msg} ({place}){hint}") from error
    except ValueError as error:
        raise usage(f"{name}: it is no JSON: {error}") from error
    if not isinstance(found, dict):
        hint = ": write one a line into a .jsonl to run them all" if isinstance(found, list) and not one_line else ""
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
