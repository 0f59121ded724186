"""What `hush.core` exports is what the documentation promises, and importing it stays cheap."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

AUTHORING = {"END", "PARENT", "START", "CodeNode", "Each", "GraphNode", "Hush", "MapNode", "code_node"}
ERRORS = {
    "FailureInfo",
    "GraphError",
    "HushError",
    "InputError",
    "MissingKeyError",
    "NodeTimeout",
    "OutputError",
    "Problem",
    "ReportedError",
    "RunTimeout",
    "SourceError",
    "UsageError",
}
EVENTS = {
    "Event",
    "ItemFailed",
    "ItemFinished",
    "MapFinished",
    "MapStarted",
    "NodeFailed",
    "NodeFinished",
    "NodeReady",
    "NodeSkipped",
    "NodeStarted",
    "RunFinished",
    "RunStarted",
}
EXPORTS = {
    "hush.core": AUTHORING | ERRORS | EVENTS,
    "hush.core.errors": ERRORS,
    "hush.core.events": EVENTS,
    "hush.core.nodes": AUTHORING - {"Hush"},
    "hush.core.nodes.iteration": {"Each", "MapNode"},
    "hush.core.nodes.iteration.base": {"Each"},
}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_module_exports_what_is_documented(name):
    """Ruff holds the order of `__all__`; a tuple cannot be grown by accident."""
    module = importlib.import_module(name)
    assert isinstance(module.__all__, tuple)
    assert len(module.__all__) == len(set(module.__all__))
    assert set(module.__all__) == EXPORTS[name]


@pytest.mark.parametrize("name", sorted(EXPORTS.keys() - {"hush.core"}))
def test_every_path_gives_the_same_object(name):
    core, module = importlib.import_module("hush.core"), importlib.import_module(name)
    for public in EXPORTS[name]:
        assert getattr(module, public) is getattr(core, public)


@pytest.mark.parametrize("name", ["BranchNode", "Branch", "ForLoopNode", "WhileLoopNode", "Retry", "Limit", "Tolerate"])
def test_a_name_is_exported_only_once_it_works(name):
    for module in EXPORTS:
        assert not hasattr(importlib.import_module(module), name)


def loaded_by(statement: str, *, after: str = "pass") -> set[str]:
    """Name the modules that a statement loads in a fresh interpreter without site-packages, beyond those of `after`."""
    script = (
        f"import json, sys; sys.path.insert(0, {str(SRC)!r}); {after}; before = set(sys.modules); {statement}; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_importing_hush_loads_nothing_else():
    assert loaded_by("import hush") == {"hush"}


def test_importing_core_loads_the_standard_library_only():
    assert {name.split(".")[0] for name in loaded_by("import hush.core")} <= sys.stdlib_module_names | {"hush"}


def test_importing_core_loads_no_compiler_tools_beyond_what_asyncio_does():
    """Reading signatures and bytecode is for when a graph is checked: at import it would cost a third of the goal."""
    beyond = loaded_by("import hush.core", after="import asyncio")
    assert "hush.core" in beyond
    assert not beyond & {"ast", "dis", "inspect", "opcode", "tokenize"}
