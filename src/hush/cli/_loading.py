"""``load``: the graph that ``FILE[:graph]`` or ``package.module[:graph]`` means, found in the user's own code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from inspect import iscoroutinefunction
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeAlias

from hush.cli._exit import Code, Stop, say, usage
from hush.cli._failures import traceback_of
from hush.cli._problems import lines_of, problems_of
from hush.cli._safe import safe
from hush.core import ForLoopNode, GraphError, GraphNode, Hush, MapNode, WhileLoopNode
from hush.core.extend import Handle, nearest

Graph: TypeAlias = GraphNode | MapNode | ForLoopNode | WhileLoopNode | Hush
_BLOCKS = (GraphNode, MapNode, ForLoopNode, WhileLoopNode)
_KINDS = (*_BLOCKS, Hush)
_RETURNED = re.compile(r"\b(GraphNode|MapNode|ForLoopNode|WhileLoopNode|Hush)\b")
_MAKERS = re.compile(r"(build|make|create|get)(_\w+)?_(graph|engine)|(build|make|create)|graph|engine")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class Loaded(NamedTuple):
    """What was found: the graph or engine, and what to call it in messages."""

    graph: Graph
    shown: str


def load(target: str) -> Loaded:
    """Load the file or module of ``target`` and find its one graph, or the one that is named.

    The folder of a file, or of the package it lies in, comes first on ``sys.path``, as when Python runs it; for a
    module it is the working folder. The file is a module of its own name, and not ``__main__``.

    Raises:
        Stop: It is not there, cannot be loaded, or it is not clear which graph is meant; or building it found problems.
    """
    place, name = _split(target)
    try:
        module = _module(place)
        graph, name = _named(module, place, name) if name else _only(module, place)
    except Stop:
        raise
    except GraphError as error:  # raised while the graph was written, or by an engine at the end of the file
        problems = problems_of(error)
        raise Stop(Code.PROBLEMS, lines_of(problems)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Stop(Code.USAGE, f"hush: {safe(place)} cannot be loaded\n\n{traceback_of(error)}") from error
    return Loaded(graph, f"{place}:{name}")


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    if not colon or os.path.exists(target) or not place or not _DOTTED.fullmatch(name):
        return target, ""  # a colon may also follow the letter of a drive
    return place, name


# --- the module -----------------------------------------------------------------------------------------------------
def _module(place: str) -> ModuleType:
    if os.path.isdir(place):
        raise usage(f"{place} is a folder: name a file in it, such as {os.path.join(place, 'graph.py')}")
    if os.path.isfile(place):
        return _of_file(os.path.abspath(place))
    if place.endswith(".py") or not _DOTTED.fullmatch(place):
        folder = os.path.dirname(place) or "."
        files = sorted(one for one in os.listdir(folder) if one.endswith(".py")) if os.path.isdir(folder) else []
        near = nearest(os.path.basename(place), files)
        hint = f". Did you mean {os.path.join(os.path.dirname(place), near)}?" if near else ""
        raise usage(f"{place} is not there{hint}")
    from importlib import import_module

    _first_on_path(os.getcwd())
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # it is there, and something that it imports is not
        raise usage(f"{place} is neither a file nor a module: there is no {error.name}") from None


def _of_file(path: str) -> ModuleType:
    from importlib import import_module
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    folder, file = os.path.split(path)
    parts = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):  # it lies in a package, and may import from it
        folder, package = os.path.split(folder)
        parts.insert(0, package)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    name = ".".join(parts)
    _first_on_path(folder)
    if _DOTTED.fullmatch(name):
        known = sys.modules.get(name)
        if known is not None:
            found = getattr(known, "__file__", None)
        else:
            spec = find_spec(name)
            found = spec.origin if spec is not None else None
        if found is not None and os.path.abspath(found) == path:
            return import_module(name)
        if known is not None or found is not None:
            name = f"hush_{parts[-1]}"  # its name is taken, as by json.py
    from importlib.machinery import SourceFileLoader

    made = spec_from_file_location(name, path, loader=SourceFileLoader(name, path))
    assert made is not None
    assert made.loader is not None
    module = module_from_spec(made)
    sys.modules[name] = module
    if name != ".".join(parts):  # worker processes would not find it under its new name
        import_module("cloudpickle").register_pickle_by_value(module)
    try:
        made.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _first_on_path(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)


# --- the graph ------------------------------------------------------------------------------------------------------
def _named(module: ModuleType, place: str, name: str) -> tuple[Graph, str]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = nearest(
                part, [one for one, _ in _candidates(module)] or [one for one in vars(found) if one[0] != "_"]
            )
            hint = f" Did you mean {near}?" if near else ""
            raise usage(f"{place} has no {name}.{hint}\n{_list(module, place)}")
        found = getattr(found, part)
    if callable(found) and not isinstance(found, (Handle, Hush, type)):  # a node that is called runs
        if iscoroutinefunction(found):
            raise usage(f"{place}:{name} is async, and nothing awaits it here: a plain def may make a graph.")
        if _needs_arguments(found):
            raise usage(f"{place}:{name} takes arguments, so it cannot be called here.\n{_list(module, place)}")
        found = found()
    if not isinstance(found, _KINDS):
        raise usage(f"{place}:{name} is no graph; it is of the type {type(found).__name__}.\n{_list(module, place)}")
    return found, name


def _only(module: ModuleType, place: str) -> tuple[Graph, str]:
    found = dict(_candidates(module))
    if len(found) == 1:
        [(name, graph)] = found.items()
        return _named(module, place, name) if isinstance(graph, FunctionType) else (graph, name)
    if not found:
        raise usage(
            f"{place} has no graph: it needs a GraphNode, map, loop or Hush engine at its top level, or a function "
            "without arguments that is annotated to return one"
        )
    raise usage(f"{place} has several graphs; name one.\n{_list(module, place)}")


def _list(module: ModuleType, place: str) -> str:
    found = [
        f"    {place}:{name}" + (f"  ({one.name})" if isinstance(one, _KINDS) and one.name != name else "")
        for name, one in _candidates(module)
    ]
    return "It has:\n" + "\n".join(found[:20]) if found else "It has no graph at its top level."


def _candidates(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Graphs at the top level that are in no other, an engine in place of its graph; only without any, functions."""
    graphs: dict[int, tuple[str, Any]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Hush) or (isinstance(value, _BLOCKS) and value._owner is None):
            graphs.setdefault(id(value), (name, value))
    run = {(one.name, one._spec.where) for _, one in graphs.values() if isinstance(one, Hush)}
    for name, value in graphs.values():
        if isinstance(value, Hush) or (value.name, value.where) not in run:
            yield name, value
    if graphs:
        return
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and not _needs_arguments(value):
            returned = value.__annotations__.get("return")
            said = returned if isinstance(returned, str) else getattr(returned, "__name__", "")
            if _RETURNED.search(said) or (returned is None and _MAKERS.fullmatch(name)):
                yield name, value


def _needs_arguments(function: Any) -> bool:
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    loose = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(one.default is one.empty and one.kind not in loose for one in parameters)


def engine_of(loaded: Loaded, resources: os.PathLike[str] | None) -> Hush:
    """The engine for what was loaded.

    Raises:
        Stop: The graph has problems, all of which are listed, or the file of resources cannot be read.
    """
    from hush.core import ResourceError

    if isinstance(loaded.graph, Hush):
        if resources is not None:
            say(f"hush: {loaded.shown} is an engine, which has its resources already: --resources is not used")
        return loaded.graph
    try:
        return Hush(loaded.graph, resources=resources)
    except GraphError as error:
        raise Stop(Code.PROBLEMS, lines_of(problems_of(error))) from error
    except ResourceError as error:
        raise usage(str(error)) from error
