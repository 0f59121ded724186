"""Mistakes in the use of nodes that ask models, as users read them: what is wrong, where, and how to mend it."""

from __future__ import annotations

import pytest

from hush.core import PARENT, Each, GraphError, GraphNode, Hush, InputError, MapNode, ResourceHub, UsageError
from hush.providers import EmbeddingNode, LLMChainNode, LLMNode, PromptNode, RerankNode
from hush.providers.errors import RequestError
from hush.testing import ScriptedLLM, run_virtual
from kit.model_places import asked, asking

HERE = "test_llm_mistakes.py"
QUESTION = {"messages": "?"}


def problems_of(build):
    with GraphNode(name="g") as graph:
        build()
    return graph.check()


def the_problem(build):
    (problem,) = problems_of(build)
    assert HERE in str(problem)
    return problem


# --- resources --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["gpt-4o-mni", "llm:gpt-4o-mni"])
@pytest.mark.parametrize("where", ["resource_key", "fallback"])
def test_a_model_that_is_not_there_names_the_nearest(key, where):
    hub = ResourceHub({"llm:gpt-4o-mini": ScriptedLLM(), "llm:claude": ScriptedLLM(), "limit:crm": {"per_second": 1}})
    with GraphNode(name="g") as graph:
        LLMNode(name="ask", inputs=QUESTION, **{"resource_key": "claude", where: key})
    with pytest.raises(GraphError) as caught:
        Hush(graph, resources=hub)
    (problem,) = caught.value.problems
    assert "gpt-4o-mni" in str(problem)
    assert "gpt-4o-mini" in problem.mend
    assert "g/ask" in str(problem)
    assert HERE in str(problem)


def test_a_model_of_another_kind_is_no_model():
    hub = ResourceHub({"embedding:small": ScriptedLLM()})
    with pytest.raises(GraphError, match="llm:small"):
        Hush(asking("small"), resources=hub)
    with pytest.raises(GraphError, match="embedding:small"):
        Hush(asking("embedding:small"), resources=hub)


def test_all_that_is_missing_is_told_at_once():
    with GraphNode(name="g") as graph:
        LLMNode(name="a", resource_key="x", inputs=QUESTION)
        LLMNode(name="b", resource_key="y", inputs=QUESTION)
        EmbeddingNode(name="c", resource_key="z", inputs={"texts": ["a"]})
        RerankNode(name="d", resource_key="w", inputs={"query": "a", "documents": []})
    with pytest.raises(GraphError) as caught:
        Hush(graph, resources=ResourceHub({}))
    text = str(caught.value)
    assert all(key in text for key in ("llm:x", "llm:y", "embedding:z", "rerank:w"))


def test_settings_that_are_wrong_are_told_before_anything_runs():
    hub = ResourceHub({"llm:m": {"type": "openai", "api_key": "hk-1234", "modell": "m", "base_url": "gopher://x"}})
    with pytest.raises(GraphError) as caught:
        Hush(asking(), resources=hub)
    text = str(caught.value)
    assert "llm:m" in text
    assert "model" in text
    assert "base_url" in text
    assert "hk-1234" not in text


# --- arguments --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [LLMNode, LLMChainNode])
def test_an_input_given_as_an_argument_says_where_it_belongs(node):
    with pytest.raises(UsageError, match=r"inputs=\{'temperature': \.\.\.\}"), GraphNode(name="g"):
        node(name="ask", resource_key="m", temperature=0)


@pytest.mark.parametrize("node", [LLMNode, LLMChainNode, RerankNode])
def test_an_argument_that_is_misspelt_names_the_nearest(node):
    with pytest.raises(UsageError, match="Did you mean 'resource_key'"), GraphNode(name="g"):
        node(name="ask", resource_kye="m")


def test_it_runs_on_the_loop_and_takes_no_executor():
    with pytest.raises(UsageError, match="executor"), GraphNode(name="g"):
        LLMNode(name="ask", resource_key="m", inputs=QUESTION, executor="process")


# --- wiring -----------------------------------------------------------------------------------------------------------
def test_an_input_that_nobody_takes_names_the_nearest():
    problem = the_problem(lambda: LLMNode(name="ask", resource_key="m", inputs={**QUESTION, "temprature": 0}))
    assert "temprature" in problem.message
    assert "temperature" in str(problem)


def test_messages_have_to_come_from_somewhere():
    problem = the_problem(lambda: LLMNode(name="ask", resource_key="m"))
    assert "messages" in problem.message


@pytest.mark.parametrize(
    ("node", "given", "key", "meant"),
    [
        (LLMNode, QUESTION, "contnt", "content"),
        (LLMNode, QUESTION, "tool_call", "tool_calls"),
        (LLMChainNode, {"prompt": "?"}, "parsd", "parsed"),
        (EmbeddingNode, {"texts": ["a"]}, "embeding", "embedding"),
        (RerankNode, {"query": "a", "documents": ["b"]}, "score", "scores"),
        (PromptNode, {"prompt": "?"}, "message", "messages"),
    ],
)
def test_a_misspelt_output_is_found_before_anything_runs(node, given, key, meant):
    def build():
        asks = {} if node is PromptNode else {"resource_key": "m"}
        made = node(name="ask", inputs=given, **asks)
        made[key] >> PARENT["out"]

    problem = the_problem(build)
    assert key in str(problem)
    assert meant in str(problem)


def test_a_map_in_processes_is_refused():
    """Its limits and its connections belong to this process."""

    def build():
        with MapNode(name="each", inputs={"x": Each(["a"])}, executor="process"):
            LLMNode(name="ask", resource_key="m", inputs={"messages": PARENT["x"]}, outputs=PARENT)

    with pytest.raises(GraphError, match="process"):
        with GraphNode(name="g") as graph:
            build()
        Hush(graph, resources={"llm:m": ScriptedLLM()})


def test_an_input_that_the_run_lacks_names_the_node():
    with pytest.raises(InputError, match="asking/llm"):
        run_virtual(lambda: Hush(asking(), resources={"llm:m": ScriptedLLM()}).run({}))


# --- what comes with the run ------------------------------------------------------------------------------------------
USER = {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (3, "int, not a list of messages"),
        (None, "NoneType, not a list of messages"),
        (USER, "PromptNode"),
        (b"text", "bytes, not a list"),
        ([], "an empty list"),
        (["?"], "messages[0] is str"),
        ([USER, {"role": "usr", "content": "?"}], "messages[1] has the role 'usr'"),
        ([{"content": "?"}], "messages[0] has the role None"),
        ([{"role": "user"}], "has no content"),
        ([{"role": "user", "content": 3}], "is int, not text"),
    ],
    ids=lambda it: str(it)[:20],
)
def test_what_are_no_messages_is_said_before_anything_is_sent(messages, words):
    llm = ScriptedLLM()
    with pytest.raises(RequestError) as caught:
        run_virtual(lambda: asked({"llm:m": llm}, messages=messages))
    assert words in str(caught.value)
    assert caught.value.hush.path == "asking/llm"
    assert caught.value.hush.attempt == 1
    assert llm.stats.calls == 0


@pytest.mark.parametrize("extra", [3, [1], "a"])
def test_extra_body_is_a_mapping(extra):
    with pytest.raises(RequestError, match="extra_body"):
        run_virtual(lambda: asked({"llm:m": ScriptedLLM()}, inputs={"extra_body": extra}))


def test_alone_without_a_hub_it_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUSH_CONFIG", raising=False)
    with pytest.raises(GraphError, match=r"llm:m") as caught:
        Hush(asking())
    assert "resources" in str(caught.value)
