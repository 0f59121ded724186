"""Read a source tree and say where it breaks the rules of the house: layers, cycles, sizes, names.

The table below is the one of ARCHITECTURE.md. Nothing is imported or run: every rule is read off the syntax trees, so
an import counts wherever it stands, in a function and under `TYPE_CHECKING` too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LINES_MOST = 300
LINES_EVER = 500

# From the bottom up. A unit is a module, or a package with all that is in it, and imports only from layers below its
# own. Units of one layer may import each other, but for those layers whose units are STRANGERS.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"hush", "hush.core.errors"}),
    frozenset(
        {"hush.core.events", "hush.core._map_events", "hush.core.protocols", "hush.core._result", "hush.core._logs"}
    ),
    frozenset({"hush.core._expr"}),
    frozenset({"hush.core._spec"}),
    frozenset(
        {"hush.core._plan", "hush.core.nodes", "hush.core._resources", "hush.core._admission", "hush.core._cache"}
    ),
    frozenset({"hush.core._runtime"}),
    frozenset(
        {
            "hush.core",
            "hush.core.extend",
            "hush.core._engine",
            "hush.core._options",
            "hush.core._background",
            "hush.core._started",
            "hush.core._stream",
            "hush.core._why",
        }
    ),
    frozenset({"hush.providers", "hush.observability"}),
    frozenset({"hush.__main__", "hush.cli", "hush.ui", "hush.testing"}),
)
STRANGERS = frozenset({4, 7})
# These know only public names of hush.core.
ONLY_PUBLIC = frozenset({"hush.providers", "hush.observability", "hush.testing"})
DRAWERS = re.compile(r"(^|_)(util|helper|manager|handler)s?(_|$)")


@dataclass(frozen=True)
class Import:
    """One module named by one import statement; `name` is what is taken from it, if anything is."""

    target: str
    name: str | None
    line: int
    relative: bool
    on_load: bool  # runs when the module is loaded: not in a function, not under TYPE_CHECKING


@dataclass(frozen=True)
class Module:
    """A parsed source file."""

    name: str
    path: Path
    is_package: bool
    lines: int
    has_docstring: bool
    imports: tuple[Import, ...]


Tree = dict[str, Module]


def read(src: Path) -> Tree:
    """Parse every module below `src`, the folder that holds the package `hush`."""
    modules = (_module(src, path) for path in sorted(src.rglob("*.py")))
    return {module.name: module for module in modules}


def _module(src: Path, path: Path) -> Module:
    parts = path.relative_to(src).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    return Module(
        name=".".join(parts[:-1] if is_package else parts),
        path=path,
        is_package=is_package,
        lines=len(text.splitlines()),
        has_docstring=bool((ast.get_docstring(tree) or "").strip()),
        imports=tuple(_imports(tree, on_load=True)),
    )


def _imports(node: ast.AST, *, on_load: bool) -> Iterator[Import]:
    match node:
        case ast.Import():
            for alias in node.names:
                yield Import(alias.name, None, node.lineno, False, on_load)
        case ast.ImportFrom():
            for alias in node.names:
                yield Import(node.module or "", alias.name, node.lineno, node.level > 0, on_load)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            on_load = False
        case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            for child in node.body:
                yield from _imports(child, on_load=False)
            for child in node.orelse:
                yield from _imports(child, on_load=on_load)
            return
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, on_load=on_load)


def target_of(found: Import, tree: Tree) -> str:
    """Name the module that an import reads: `from p import m` reads `p.m` if that is a module, else `p`."""
    inner = f"{found.target}.{found.name}"
    return inner if inner in tree else found.target


def unit_of(name: str) -> str | None:
    """Name the unit of the table that a module belongs to: the longest one that it is or lies in."""
    if name in ("hush", "hush.core"):  # façades: what lies below them is no part of them
        return name
    inside = [u for layer in LAYERS for u in layer - {"hush", "hush.core"} if name == u or name.startswith(u + ".")]
    return inside[0] if inside else None


def _layer_of(unit: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if unit in layer)


def _own(tree: Tree) -> Iterator[tuple[Module, Import, str]]:
    """Yield every import of one of the tree's own modules (or what pretends to be one), with its target."""
    for module in tree.values():
        for found in module.imports:
            if not found.relative and found.target.split(".")[0] == "hush":
                yield module, found, target_of(found, tree)


def upward_imports(tree: Tree) -> list[str]:
    """Find imports that go up, to a stranger, or to a private name of `hush.core` from outside."""
    wrong = [f"{name}: is in no layer; add it to the table" for name in tree if unit_of(name) is None]
    for module, found, target in _own(tree):
        mine, other = unit_of(module.name), unit_of(target)
        if mine is None or mine == other:
            continue
        if other is None:
            wrong.append(f"{module.name}:{found.line}: imports {target}, which is in no layer")
        elif _layer_of(other) > _layer_of(mine):
            wrong.append(f"{module.name}:{found.line}: imports {target}, which is above it")
        elif _layer_of(other) == _layer_of(mine) and _layer_of(mine) in STRANGERS:
            wrong.append(f"{module.name}:{found.line}: imports {target}, a stranger")
        elif mine in ONLY_PUBLIC and any(p.startswith("_") for p in [*target.split("."), found.name or ""]):
            wrong.append(f"{module.name}:{found.line}: imports {target}, which is private to hush.core")
    return wrong


def facade_imports(tree: Tree) -> list[str]:
    """Find modules that import from a package they lie in, instead of from the module that has the name."""
    return [
        f"{module.name}:{found.line}: imports from its own façade {target}"
        for module, found, target in _own(tree)
        if target in tree and tree[target].is_package and f"{module.name}.".startswith(f"{target}.")
    ]


def relative_imports(tree: Tree) -> list[str]:
    """Find imports that start with dots."""
    return [f"{m.name}:{found.line}: relative import" for m in tree.values() for found in m.imports if found.relative]


def foreign_imports(tree: Tree) -> list[str]:
    """Find what `hush.core` imports on loading that is neither the standard library nor Hush."""
    known = sys.stdlib_module_names | {"hush"}
    return [
        f"{module.name}:{found.line}: imports {found.target}, which is not in the standard library"
        for module in tree.values()
        if f"{module.name}.".startswith("hush.core.")
        for found in module.imports
        if found.on_load and not found.relative and found.target.split(".")[0] not in known
    ]


def cycles(tree: Tree) -> list[str]:
    """Find modules that import each other in a ring; the packages that Python loads on the way do not count."""
    edges: dict[str, set[str]] = {name: set() for name in tree}
    for module, _, target in _own(tree):
        if target in tree and target != module.name:
            edges[module.name].add(target)
    reach = {name: _reached(name, edges) for name in tree}
    rings = {frozenset(other for other in reach[name] if name in reach[other]) for name in tree if name in reach[name]}
    return sorted(f"these import each other: {', '.join(sorted(ring))}" for ring in rings)


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    left = [start]
    while left:
        fresh = edges[left.pop()] - seen
        seen |= fresh
        left.extend(fresh)
    return seen


def long_files(tree: Tree) -> list[str]:
    """Find files over 500 lines; if a quarter or more of all are over 300, name these too."""
    wrong = [f"{m.name}: {m.lines} lines, over {LINES_EVER}" for m in tree.values() if m.lines > LINES_EVER]
    large = [m for m in tree.values() if m.lines > LINES_MOST]
    if large and 4 * len(large) >= len(tree):
        names = ", ".join(m.name for m in large)
        wrong.append(f"a quarter or more of all files are over {LINES_MOST} lines: {names}")
    return wrong


def drawers(tree: Tree) -> list[str]:
    """Find modules whose name says nothing of their subject, and so would take everything."""
    return [f"{name}: a name without a subject" for name in tree if DRAWERS.search(name.rpartition(".")[2])]


def undescribed(tree: Tree) -> list[str]:
    """Find modules that do not open with a sentence on what they are for."""
    return [f"{m.name}: no docstring" for m in tree.values() if not m.has_docstring]
