"""What `hush.core` exports is what the documentation promises, and importing it stays cheap."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

AUTHORING = {
    "END",
    "PARENT",
    "START",
    "Branch",
    "BranchNode",
    "CodeNode",
    "Each",
    "ForLoopNode",
    "GraphNode",
    "Hush",
    "Limit",
    "MapNode",
    "ResourceHub",
    "Tolerate",
    "WhileLoopNode",
    "code_node",
}
POLICIES = {"Retry"}
ERRORS = {
    "CacheError",
    "FailureInfo",
    "GraphError",
    "HushError",
    "InputError",
    "MissingKeyError",
    "NoCaseMatched",
    "NodeTimeout",
    "OutputError",
    "Problem",
    "ReportedError",
    "ResourceError",
    "RunTimeout",
    "SourceError",
    "TooManyFailures",
    "TooManyIterations",
    "TransportError",
    "UsageError",
    "WorkerDied",
}
EVENTS = {
    "Event",
    "ItemFailed",
    "ItemFinished",
    "ItemsRan",
    "MapFinished",
    "MapProgressed",
    "MapStarted",
    "NodeCached",
    "NodeChunk",
    "NodeAdmitted",
    "NodeAnswered",
    "NodeFailed",
    "NodeFinished",
    "NodeQueued",
    "NodeCalled",
    "NodeCancelled",
    "NodeRan",
    "NodeReady",
    "NodeRetrying",
    "NodeReleased",
    "NodeRerouted",
    "NodeSkipped",
    "NodeStarted",
    "RoundFinished",
    "RunFinished",
    "RunStarted",
}
TESTING = {
    "Deadlock",
    "Ended",
    "Fault",
    "Leak",
    "LeakCheck",
    "LeftOver",
    "Recorder",
    "Reply",
    "Rule",
    "Runaway",
    "ScriptError",
    "ScriptedDisconnect",
    "ScriptedFault",
    "ScriptedLLM",
    "ScriptedRequest",
    "ServerLimits",
    "ToolCall",
    "Usage",
    "VirtualLoop",
    "cancel_everywhere",
    "end_of",
    "leak_check",
    "llm_server",
    "run_virtual",
}
EXPORTS = {
    "hush.core": AUTHORING | POLICIES | ERRORS | EVENTS | {"why_on_signal"},
    "hush.core.errors": ERRORS,
    "hush.core.events": EVENTS,
    "hush.core.nodes": AUTHORING - {"Hush", "ResourceHub", "Limit"},
    "hush.core.nodes.flow": {"Branch", "BranchNode"},
    "hush.core.nodes.iteration": {"Each", "ForLoopNode", "MapNode", "WhileLoopNode"},
    "hush.core.nodes.iteration.base": {"Each"},
    "hush.observability": {"ConsoleProgress", "LangfuseTracer", "LocalTracer", "OTELTracer", "OTelTracer"}
    | {"Pruned", "Sampling", "TraceError", "TraceStore"},
    "hush.providers": {"EmbeddingNode", "File", "LLMChainNode", "LLMNode", "PromptNode", "RerankNode"},
    "hush.testing": TESTING,
}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_module_exports_what_is_documented(name):
    """Ruff holds the order of `__all__`; a tuple cannot be grown by accident."""
    module = importlib.import_module(name)
    assert isinstance(module.__all__, tuple)
    assert len(module.__all__) == len(set(module.__all__))
    assert set(module.__all__) == EXPORTS[name]


OF_THEIR_OWN = {"hush.core", "hush.observability", "hush.providers", "hush.testing"}


@pytest.mark.parametrize("name", sorted(EXPORTS.keys() - OF_THEIR_OWN))
def test_every_path_gives_the_same_object(name):
    core, module = importlib.import_module("hush.core"), importlib.import_module(name)
    for public in EXPORTS[name]:
        assert getattr(module, public) is getattr(core, public)


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


def test_importing_core_loads_nothing_of_what_a_cache_needs():
    beyond = loaded_by("import hush.core", after="import asyncio")
    assert not beyond & {"sqlite3", "hashlib", "json", "decimal", "pathlib", "hush.core._runtime._cached_call"}
    assert not {name for name in beyond if name.startswith(("hush.core._cache", "hush.core._spec._certain"))}


def test_importing_core_loads_no_events_and_nothing_that_tells_of_them():
    """Without a tracer no event is made; their classes alone are a sixth of what importing takes."""
    events = {"hush.core.events", "hush.core._runtime._tracing", "hush.core._runtime._quick"}
    run = "import asyncio, hush.core as h; g = h.GraphNode(name='g'); "
    run += "m = g.__enter__(); h.CodeNode(name='n', code_fn=lambda: {}); g.__exit__(None, None, None); "
    assert not loaded_by("import hush.core") & events
    assert not loaded_by(run + "asyncio.run(h.Hush(g).run())") & events
    assert loaded_by("from hush.core import NodeStarted") >= {"hush.core.events"}


def test_importing_core_does_not_load_what_tests_are_written_with():
    assert not {name for name in loaded_by("import hush.core") if name.startswith("hush.testing")}


@pytest.mark.parametrize("package", ["hush.core", "hush.providers", "hush.testing"])
def test_every_public_name_that_is_loaded_late_can_be_taken_and_is_described(package):
    """They are loaded when they are asked for, so a wrong table would be found by users only."""
    module = importlib.import_module(package)
    assert EXPORTS[package] <= set(dir(module))
    for name in EXPORTS[package]:
        assert getattr(module, name).__doc__, name
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense


def test_importing_providers_loads_no_client_and_no_node():
    assert loaded_by("import hush.providers", after="import hush.core") == {"hush.providers"}


def test_the_plug_in_that_is_loaded_into_everybodys_pytest_loads_nothing_else():
    code = f"import sys; sys.path.insert(0, {str(SRC)!r}); import pytest; before = set(sys.modules); "
    code += "import hush.testing._plugin; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert set(done.stdout.split()) == {"hush", "hush.testing", "hush.testing._plugin"}
