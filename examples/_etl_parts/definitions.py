"""Transform: find every definition in the sources, and measure one."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import decode_source
from typing import NamedTuple

from _etl_parts.sources import Area, ModuleStatus, SourceFile

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
KINDS = {ast.FunctionDef: "def", ast.AsyncFunctionDef: "async def", ast.ClassDef: "class"}
BRANCHES = frozenset(
    {
        ast.If,
        ast.IfExp,
        ast.For,
        ast.AsyncFor,
        ast.While,
        ast.ExceptHandler,
        ast.comprehension,
        ast.match_case,
        ast.Assert,
    }
)
# Nothing below these can branch, and they are most of every tree.
LEAVES = frozenset(
    {ast.Name, ast.Constant, ast.Load, ast.Store, ast.Del, ast.alias, ast.Pass, ast.Global, ast.Nonlocal}
)
UNLISTED = ModuleStatus("unlisted", 1.0)

AnyDefinition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class DoesNotParse(Exception):
    """A file in which no definitions can be found, because it is not Python."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Definition:
    """An item of the map: one function or class, with its own lines."""

    file: str
    module: str
    name: str
    line: int
    lines: list[str]
    node: AnyDefinition


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An item of the map: a file that does not parse."""

    file: str
    reason: str


class ModuleFacts(NamedTuple):
    """What the database and the API say of one module."""

    area: Area
    status: ModuleStatus


class Row(NamedTuple):
    """What is loaded of one definition: a row of the warehouse.

    ``own_lines`` and ``branches`` leave out what belongs to a definition inside, so that sums count nothing twice.
    """

    file: str
    module: str
    name: str
    kind: str
    line: int
    lines: int
    own_lines: int
    code_lines: int
    longest_line: int
    documented: bool
    branches: int
    digest: str
    area: str
    team: str
    status: str
    minutes: float


def merge_data(
    areas: Mapping[str, Area], statuses: Mapping[str, ModuleStatus], files: Iterable[SourceFile]
) -> dict[str, object]:
    """Join the sources by module, and say what there is to go through.

    ``definitions`` is a generator: files are parsed while the map runs, so only a few trees are in memory at a time.
    """
    files = list(files)
    modules = {
        file.module: ModuleFacts(areas.get(file.module, areas[""]), statuses.get(file.module, UNLISTED))
        for file in files
    }
    return {"definitions": find_definitions(files), "modules": modules}


def find_definitions(files: Iterable[SourceFile]) -> Iterator[Definition | Unparsed]:
    """Every definition of every file in the order of the text; one ``Unparsed`` for a file that does not parse."""
    for file in files:
        try:
            text = decode_source(file.source)
            tree = ast.parse(text, file.name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as why:
            yield Unparsed(file.name, _reason(why))
            continue
        lines = text.split("\n")  # not splitlines(), which also splits where the parser does not, as at a form feed
        for name, node in _definitions_in(tree):
            yield Definition(file.name, file.module, name, node.lineno, lines[_first(node) - 1 : node.end_lineno], node)


def measure(definition: Definition | Unparsed, modules: Mapping[str, ModuleFacts]) -> dict[str, Row]:
    """Measure one definition, and say who reviews it and how long that takes."""
    if isinstance(definition, Unparsed):
        raise DoesNotParse(definition.file, definition.reason)
    area, status = modules[definition.module]
    node = definition.node
    text = [line.strip() for line in definition.lines]
    own_lines, branches = own_part(node)
    row = Row(
        file=definition.file,
        module=definition.module,
        name=definition.name,
        kind=KINDS[type(node)],
        line=definition.line,
        lines=len(text),
        own_lines=own_lines,
        code_lines=sum([1 for line in text if line and line[0] != "#"]),
        longest_line=max(map(len, definition.lines)),
        documented=ast.get_docstring(node, clean=False) is not None,
        branches=branches,
        digest=hashlib.sha256("\n".join(text).encode()).hexdigest()[:16],
        area=area.name,
        team=area.team,
        status=status.status,
        minutes=round((own_lines * area.minutes_per_line + branches * area.minutes_per_branch) * status.factor, 3),
    )
    return {"row": row}


def own_part(definition: AnyDefinition) -> tuple[int, int]:
    """The definition's lines and branches, without those of the definitions inside: they are items of their own."""
    lines, branches = _span(definition), 0
    left: list[ast.AST] = [definition]
    while left:
        node = left.pop()
        for field in node._fields:
            value = getattr(node, field, None)
            for child in value if isinstance(value, list) else (value,):
                kind = type(child)
                if kind in LEAVES or not isinstance(child, ast.AST):
                    continue
                if isinstance(child, DEFINITIONS):
                    lines -= _span(child)
                    continue
                if kind in BRANCHES:
                    branches += 1
                elif isinstance(child, ast.BoolOp):
                    branches += len(child.values) - 1
                left.append(child)
    return lines, branches


def _definitions_in(tree: ast.Module) -> Iterator[tuple[str, AnyDefinition]]:
    """Definitions with their dotted names. Only statements hold definitions, so expressions are never looked at."""
    left: list[tuple[str, ast.AST]] = [("", tree)]
    while left:
        prefix, node = left.pop()
        if isinstance(node, DEFINITIONS):
            yield prefix + node.name, node
            prefix = f"{prefix}{node.name}."
        # Backwards, because the last that is put here is the first that is taken.
        for field in ("cases", "finalbody", "orelse", "handlers", "body"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):  # the body of a lambda is an expression
                left += [(prefix, child) for child in reversed(inner)]


def _first(node: AnyDefinition) -> int:
    return min([node.lineno, *[decorator.lineno for decorator in node.decorator_list]])


def _span(node: AnyDefinition) -> int:
    return (node.end_lineno or node.lineno) - _first(node) + 1


def _reason(why: BaseException) -> str:
    if isinstance(why, SyntaxError) and why.lineno:
        return f"{why.msg} (line {why.lineno})"
    return str(why) or type(why).__name__
