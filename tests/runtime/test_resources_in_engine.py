"""``Hush(graph, resources=)``: names of limits are looked up when the engine is made, and only if there are any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hush.core import (
    PARENT,
    CodeNode,
    Each,
    GraphError,
    GraphNode,
    Hush,
    MapNode,
    ResourceError,
    ResourceHub,
    UsageError,
    WhileLoopNode,
    code_node,
)
from hush.core._spec._policies import Limit

SRC = Path(__file__).parents[2] / "src"


def one(x=0):
    return {"y": x}


def named(*names):
    """A graph with a node for each name."""
    with GraphNode(name="g") as g:
        for number, name in enumerate(names):
            CodeNode(name=f"n{number}", code_fn=one, limit=name)
    return g


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUSH_CONFIG", raising=False)
    return tmp_path


SETTINGS = {"limit:crm": {"per_second": 5}, "limit:erp": {"concurrency": 2}}
FILE = "limit:crm: {per_second: 5}\nlimit:erp: {concurrency: 2}\n"


# --- where they come from ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["hub", "mapping", "path", "text", "default", "named"])
async def test_names_are_looked_up_in_what_is_given(nowhere, monkeypatch, kind):
    file = nowhere / ("resources.yaml" if kind == "default" else "other.yaml")
    file.write_text(FILE, encoding="utf-8")
    if kind == "named":
        monkeypatch.setenv("HUSH_CONFIG", str(file))
    given = {"hub": ResourceHub(SETTINGS), "mapping": SETTINGS, "path": file, "text": "other.yaml"}
    engine = Hush(named("crm", "limit:erp"), resources=given.get(kind))
    assert engine._limits.find("crm").per_second == 5
    assert engine._limits.find("limit:erp").concurrency == 2
    assert await engine.run() == {}


def test_engines_of_one_hub_share_its_limits_and_those_of_two_do_not():
    hub, other = ResourceHub(SETTINGS), ResourceHub(SETTINGS)
    limits = [Hush(named(name), resources=hub)._limits.find(name) for name in ("crm", "limit:crm", "crm")]
    assert all(limit is hub.limit("crm") for limit in limits)
    assert Hush(named("crm"), resources=other)._limits.find("crm") is not hub.limit("crm")


def test_engines_of_the_default_hub_share_its_limits(nowhere):
    (nowhere / "resources.yaml").write_text(FILE, encoding="utf-8")
    assert Hush(named("crm"))._limits.find("crm") is Hush(named("erp", "crm"))._limits.find("crm")


def test_names_are_found_wherever_a_leaf_lies():
    with GraphNode(name="g") as g:
        with MapNode(name="m", inputs={"x": Each([1])}):
            CodeNode(name="a", code_fn=one, inputs={"x": PARENT["x"]}, limit=["crm", Limit(concurrency=1)])
        with WhileLoopNode(name="w", inputs={"x": 0}, max_iterations=1), GraphNode(name="inner"):
            CodeNode(name="b", code_fn=one, limit="erp")
    assert sorted(Hush(g, resources=SETTINGS)._limits.names()) == ["crm", "erp"]
    with pytest.raises(GraphError) as raised:
        Hush(g, resources={"limit:x": {"rpm": 1}})
    assert [problem.path for problem in raised.value.problems] == ["g/m/a", "g/w/inner/b"]


def test_a_graph_that_is_a_map_has_no_other_path():
    with MapNode(name="m", inputs={"x": Each([1])}) as m:
        CodeNode(name="a", code_fn=one, inputs={"x": PARENT["x"]}, limit="crm")
    with pytest.raises(GraphError) as raised:
        Hush(m, resources={})
    assert [problem.path for problem in raised.value.problems] == ["m/a"]


def test_a_node_alone_looks_its_limit_up_and_does_without_one_that_an_engine_would_define(nowhere):
    node = code_node(one)(name="n", limit="crm")
    assert node(x=1) == {"y": 1}
    (nowhere / "resources.yaml").write_text(FILE, encoding="utf-8")
    assert node(x=1) == {"y": 1}


# --- what is wrong ----------------------------------------------------------------------------------------------------
def test_every_name_that_is_not_there_is_told_at_its_node_with_all_else_that_is_wrong():
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one, limit="crn")  # <- a
        CodeNode(name="b", code_fn=one, limit=["crm", "limit:zzz"])  # <- b
        CodeNode(name="c", code_fn=one, limit="crn", inputs={"nope": 1})  # <- c
    with pytest.raises(GraphError) as raised:
        Hush(g, resources=SETTINGS)
    told = [(one.path, one.line, one.message.partition(" (")[0]) for one in raised.value.problems]
    assert sorted(told) == [
        ("g/a", line_of("a"), "limit='crn': there is no limit:crn"),
        ("g/b", line_of("b"), "limit='limit:zzz': there is no limit:zzz"),
        ("g/c", line_of("c"), "limit='crn': there is no limit:crn"),
        ("g/c", line_of("c"), "the function of c takes no input 'nope'"),
    ]
    assert {one.file for one in raised.value.problems} == {__file__}
    assert "Did you mean 'crm' (" in str(raised.value)
    assert "        limit:crn:\n          concurrency: 10" in str(raised.value)


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# <- {mark}"))


def test_a_limit_whose_settings_are_wrong_is_told_once_at_its_settings(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("limit:crm:\n  rpm: ${GONE_CRM}\n  burst: x\nlimit:erp: {rpm: -1}\n", encoding="utf-8")
    with pytest.raises(GraphError) as raised:
        Hush(named("crm", "limit:crm", "gone"), resources=file)
    assert [
        (one.path, one.line, one.message.partition(",")[0].partition(" (")[0]) for one in raised.value.problems
    ] == [
        ("limit:crm", 2, "rpm needs the variable GONE_CRM"),
        ("limit:crm", 3, "burst should be a valid integer"),
        ("g/n2", raised.value.problems[2].line, "limit='gone': there is no limit:gone"),
    ]


def test_a_default_file_that_is_wrong_is_told_once_with_the_rest(nowhere):
    (nowhere / "resources.yaml").write_text("limit: crm: 1\n", encoding="utf-8")
    with GraphNode(name="g") as g:
        for name in "ab":
            CodeNode(name=name, code_fn=one, limit="crm", inputs={"nope": 1})
    with pytest.raises(GraphError) as raised:
        Hush(g)
    assert [one.path for one in raised.value.problems] == ["g/a", "g/b", "the document"]


def test_a_given_file_that_is_wrong_is_told_as_that(tmp_path):
    with pytest.raises(ResourceError, match="it cannot be read"):
        Hush(named(None), resources=tmp_path / "gone.yaml")
    with pytest.raises(ResourceError, match="is no category:name"):
        Hush(named(None), resources={"crm": {"rpm": 5}})


@pytest.mark.parametrize("resources", [5, [SETTINGS], object(), True])
def test_resources_of_another_kind_are_refused(resources):
    with pytest.raises(UsageError, match=r"resources=.*: it is a ResourceHub"):
        Hush(named("crm"), resources=resources)


def test_what_a_hub_does_not_have_is_not_looked_for_elsewhere(nowhere):
    (nowhere / "resources.yaml").write_text(FILE, encoding="utf-8")
    with pytest.raises(GraphError, match="there is no limit:crm"):
        Hush(named("crm"), resources={"limit:x": {"rpm": 5}})


def test_a_check_of_the_graph_alone_says_nothing_of_names(nowhere):
    (nowhere / "resources.yaml").write_text("no: yaml: at all", encoding="utf-8")
    assert named("crm", "gone").check() == []


# --- when nothing is read ---------------------------------------------------------------------------------------------
def loaded_after(code: str, folder: Path) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``code``, run in ``folder``."""
    script = (
        f"import sys; sys.path.insert(0, {str(SRC)!r})\nfrom hush.core import *\nfrom hush.core import _spec\n"
        f"def make(**policies):\n    with GraphNode(name='g') as g:\n"
        f"        CodeNode(name='n', code_fn=lambda: {{}}, executor='inline', **policies)\n    return g\n"
        f"{code}\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_an_engine_that_names_nothing_reads_no_file(nowhere):
    """Reading this one would raise; and what reads it is not even loaded."""
    (nowhere / "resources.yaml").write_text("no: yaml: at all", encoding="utf-8")
    Hush(named(None)).run_sync()
    Hush(named(Limit(concurrency=1)))
    found = loaded_after("Hush(make()).run_sync(); assert not Hush(make())._limits.names()", nowhere)
    assert "hush.core._resources._hub" in found
    assert not found & {"yaml", "pydantic", "hush.core._resources._files", "hush.core._resources._yaml"}


def test_settings_of_code_need_no_yaml(nowhere):
    found = loaded_after("Hush(make(limit='crm'), resources={'limit:crm': {'rpm': 5}})", nowhere)
    assert "pydantic" in found
    assert not found & {"yaml", "hush.core._resources._yaml", "pydantic_settings"}
