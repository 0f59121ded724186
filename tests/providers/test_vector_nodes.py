"""``EmbeddingNode`` and ``RerankNode``: order, batches as the server counts them, and what is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, ResourceHub, UsageError
from hush.providers import EmbeddingNode, RerankNode
from hush.providers.errors import ProviderError, RefusedByProvider, RequestError
from hush.testing import Fault, ScriptedLLM, leak_check, llm_server, run_virtual
from hush.testing._scripted._client import resource_of
from kit.llama_server import KEY
from kit.tiers import every_change, nightly

pytestmark = pytest.mark.usefixtures("silence")


def embedding(**given):
    with GraphNode(name="g") as graph:
        EmbeddingNode(
            **{"name": "e", "resource_key": "v", "inputs": {"texts": PARENT["texts"]}, **given}, outputs=PARENT
        )
    return graph


def embed(llm, texts, **given):
    return run_virtual(lambda: Hush(embedding(**given), resources={"embedding:v": llm}).run({"texts": texts}))


def lone(text):
    """The vector of a text by itself."""
    return embed(ScriptedLLM(), [text])["embeddings"][0]


many_texts = given(st.lists(st.text(min_size=1, max_size=20), max_size=12), st.integers(1, 5))


def in_order(texts, size):
    llm = ScriptedLLM(latency_s=lambda request: 1.0 / request.number)  # later batches are answered first
    out = embed(llm, texts, batch_size=size)
    assert out["embeddings"] == [lone(text) for text in texts]
    assert llm.stats.calls == -(-len(texts) // size)
    assert out["attempts"] == llm.stats.calls


@settings(every_change, max_examples=30)
@many_texts
def test_vectors_are_in_the_order_of_the_texts_whatever_the_batches(texts, size):
    in_order(texts, size)


@pytest.mark.nightly
@settings(nightly, max_examples=300)
@many_texts
def test_vectors_are_in_the_order_of_many_texts_whatever_the_batches(texts, size):
    in_order(texts, size)


@pytest.mark.parametrize(("most", "calls"), [(100, 1), (50, 2), (20, 5), (5, 10)])
def test_batches_hold_only_so_many_tokens(most, calls):
    """Ten texts of ten tokens each; one that is too long goes alone."""
    llm = ScriptedLLM()
    out = embed(llm, ["x" * 40] * 10, batch_tokens=most)
    assert (len(out["embeddings"]), llm.stats.calls) == (10, calls)


def test_no_texts_are_no_vectors_and_no_calls():
    llm = ScriptedLLM()
    out = embed(llm, [])
    assert out["embeddings"] == []
    assert out["embedding"] is None
    assert (out["usage"]["total_tokens"], out["attempts"], llm.stats.calls) == (0, 0, 0)


def test_one_text_has_one_vector():
    with GraphNode(name="g") as graph:
        EmbeddingNode(name="e", resource_key="embedding:v", inputs={"text": PARENT["text"]}, outputs=PARENT)
    hub = {"embedding:v": {"type": "scripted", "llm": ScriptedLLM(), "price": {"input": 3.0}}}
    out = run_virtual(lambda: Hush(graph, resources=hub).run({"text": "Xin chào"}))
    assert out["embedding"] == out["embeddings"][0] == lone("Xin chào")
    assert out["model_used"] == "embedding:v"
    assert out["usage"]["input_tokens"] == out["usage"]["total_tokens"] > 0
    assert out["cost"] == pytest.approx(out["usage"]["input_tokens"] * 3.0 / 1e6)


def test_dimensions_are_asked_for():
    with GraphNode(name="g") as graph:
        EmbeddingNode(name="e", resource_key="v", inputs={"texts": ["a", "b"], "dimensions": 7}, outputs=PARENT)
    out = run_virtual(lambda: Hush(graph, resources={"embedding:v": ScriptedLLM()}).run())
    assert [len(vector) for vector in out["embeddings"]] == [7, 7]


def test_only_so_many_batches_are_under_way():
    llm = ScriptedLLM(latency_s=1.0)
    hub = ResourceHub({"embedding:v": {"type": "scripted", "llm": llm, "limits": {"rpm": 10_000}}})
    graph = embedding(batch_size=1, max_concurrency=3)
    run_virtual(lambda: Hush(graph, resources=hub).run({"texts": ["a"] * 20}))
    assert llm.stats.most_at_once == 3


def test_each_batch_is_tried_again_by_itself():
    llm = ScriptedLLM(faults=[Fault("unavailable", numbers=[2, 4])])
    out = embed(llm, list("abcdef"), batch_size=1, max_concurrency=1)
    assert out["embeddings"] == [lone(text) for text in "abcdef"]
    assert llm.stats.calls == 8 == out["attempts"]


def test_one_batch_that_cannot_be_had_fails_the_node_and_ends_the_others():
    llm = ScriptedLLM(faults=[Fault("bad_request", numbers=[2])], latency_s=lambda request: request.number)

    async def main():
        hub = ResourceHub({"embedding:v": {"type": "scripted", "llm": llm, "limits": {"rpm": 1000}}})
        with pytest.raises(RefusedByProvider) as caught:
            await Hush(embedding(batch_size=1), resources=hub).run({"texts": list("abcdef")})
        return caught.value

    error = run_virtual(main)
    assert "embedding:v" in str(error)
    assert llm.stats.at_once == 0
    assert error.hush.path.startswith("g/e")


@pytest.mark.parametrize(
    ("texts", "words"),
    [(3, "not a list"), ({"a": 1}, "not a list"), (["a", 3], "texts[1] is int"), (["a", ""], "texts[1] is empty")],
)
def test_what_is_no_text_is_said_before_anything_is_sent(texts, words):
    llm = ScriptedLLM()
    with pytest.raises(RequestError) as caught:
        embed(llm, texts)
    assert words in str(caught.value)
    assert llm.stats.calls == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resource_key": None}, "misses resource_key="),
        ({"resource_key": ["a", "b"]}, "one key"),
        ({"resource_key": 3}, "one key"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_tokens": True}, "batch_tokens=True"),
        ({"texts": ["a"]}, "it is an input"),
        ({"batchsize": 3}, "Did you mean 'batch_size'?"),
    ],
)
def test_what_cannot_be_meant_raises_at_its_line(given, words):
    with pytest.raises(UsageError) as caught:
        embedding(**given)
    assert words in str(caught.value)


def test_in_a_map():
    with GraphNode(name="g") as graph:
        with MapNode(name="each", inputs={"texts": Each(PARENT["all"])}) as each:
            EmbeddingNode(name="e", resource_key="v", inputs={"texts": PARENT["texts"]}, outputs=PARENT)
        each["embeddings"] >> PARENT["vectors"]
    llm = ScriptedLLM()
    result = run_virtual(lambda: Hush(graph, resources={"embedding:v": llm}).run({"all": [["a"], [], ["b", "c"]]}))
    assert result["vectors"] == [[lone("a")], [], [lone("b"), lone("c")]]


# --- ranking ----------------------------------------------------------------------------------------------------------
DOCUMENTS = ["tea and milk", "coffee", "green tea with milk", "water", "tea"]


def ranked(llm, documents, fallback=(), hub=None, **inputs):
    with GraphNode(name="g") as graph:
        RerankNode(
            name="r",
            resource_key="r",
            fallback=fallback,
            inputs={"query": PARENT["query"], "documents": PARENT["documents"], **inputs},
            outputs=PARENT,
        )
    hub = hub or ResourceHub({"rerank:r": llm})
    return run_virtual(lambda: Hush(graph, resources=hub).run({"query": "green tea milk", "documents": documents}))


def check_ranking(out, documents):
    assert [one["score"] for one in out["results"]] == out["scores"] == sorted(out["scores"], reverse=True)
    assert [one["index"] for one in out["results"]] == out["indexes"]
    assert [one["document"] for one in out["results"]] == out["documents"]
    assert out["documents"] == [documents[index] for index in out["indexes"]]


def test_the_best_comes_first_and_says_where_it_stood():
    out = ranked(ScriptedLLM(), DOCUMENTS)
    check_ranking(out, DOCUMENTS)
    assert out["documents"][0] == "green tea with milk"
    assert sorted(out["indexes"]) == [0, 1, 2, 3, 4]
    assert (out["model_used"], out["attempts"]) == ("rerank:r", 1)


def test_only_so_many_are_given():
    out = ranked(ScriptedLLM(), DOCUMENTS, top_n=2)
    check_ranking(out, DOCUMENTS)
    assert len(out["results"]) == 2


def test_no_documents_are_no_results_and_no_calls():
    llm = ScriptedLLM()
    out = ranked(llm, [])
    assert (out["results"], out["documents"], out["scores"], out["indexes"]) == ([], [], [], [])
    assert llm.stats.calls == 0


def test_ranking_is_tried_again_and_falls_back():
    llm = ScriptedLLM(faults=[Fault("unavailable", first=2)])
    assert ranked(llm, DOCUMENTS)["attempts"] == 3
    down, other = ScriptedLLM(faults=[Fault("unauthorized")]), ScriptedLLM()
    out = ranked(None, DOCUMENTS, fallback="s", hub=ResourceHub({"rerank:r": down, "rerank:s": other}))
    assert out["model_used"] == "rerank:s"


@pytest.mark.parametrize("documents", [3, "text", ["a", 3]])
def test_what_is_no_document_is_said_before_anything_is_sent(documents):
    llm = ScriptedLLM()
    with pytest.raises(RequestError, match="documents"):
        ranked(llm, documents)
    assert llm.stats.calls == 0


# --- over real sockets ------------------------------------------------------------------------------------------------
async def test_over_real_sockets():
    llm, texts = ScriptedLLM(), ["coffee", "tea", "trà 👩‍👩‍👧"]
    with GraphNode(name="g") as graph:
        EmbeddingNode(
            name="e", resource_key="v", inputs={"texts": PARENT["texts"]}, batch_size=2, outputs={"embeddings": PARENT}
        )
        RerankNode(
            name="r",
            resource_key="r",
            inputs={"query": "tea", "documents": PARENT["texts"]},
            outputs={"documents": PARENT["ranked"]},
        )
    async with leak_check(), llm_server(llm) as url:
        server = {"type": "openai", "base_url": f"{url}/v1", "api_key": "k", "model": "m"}
        async with Hush(graph, resources={"embedding:v": server, "rerank:r": {**server, "type": "vllm"}}) as engine:
            result = await engine.run({"texts": texts})
    assert result["ranked"][0] == "tea"
    here = [row["embedding"] for row in (await ScriptedLLM().embed({"model": "m", "input": texts}))["data"]]
    for found, expected in zip(result["embeddings"], here, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
    assert llm.stats.by_endpoint == {"embeddings": 2, "rerank": 1}


async def test_over_a_real_server(llama_embed, llama_rerank):
    with GraphNode(name="g") as graph:
        EmbeddingNode(
            name="e", resource_key="v", inputs={"texts": PARENT["texts"]}, batch_size=2, outputs={"embeddings": PARENT}
        )
        RerankNode(
            name="r",
            resource_key="r",
            inputs={"query": "tea", "documents": PARENT["texts"]},
            outputs={"results": PARENT},
        )
    given = {"type": "openai", "api_key": KEY, "model": "random"}
    hub = {
        "embedding:v": {**given, "base_url": f"{llama_embed.url}/v1"},
        "rerank:r": {**given, "type": "llamacpp", "base_url": f"{llama_rerank.url}/v1"},
    }
    async with Hush(graph, resources=hub) as engine:
        first = await engine.run({"texts": ["một", "hai", "ba"]})
        again = await engine.run({"texts": ["ba", "một", "hai"]})
    assert [len(vector) for vector in first["embeddings"]] == [64] * 3
    one, two, three = first["embeddings"]
    for found, expected in zip(again["embeddings"], [three, one, two], strict=True):
        assert found == pytest.approx(expected, abs=1e-3)
    assert sorted(one["index"] for one in first["results"]) == [0, 1, 2]


@pytest.mark.parametrize("key", [None, []])
def test_a_ranking_without_a_model_raises_at_its_line(key):
    with pytest.raises(UsageError, match="misses resource_key="), GraphNode(name="g"):
        RerankNode(name="r", resource_key=key, inputs={"query": "a", "documents": ["b"]})


@pytest.mark.parametrize("kind", ["embedding", "rerank"])
def test_a_scripted_client_that_is_closed_is_closed(kind):
    """As one over HTTP is: nobody is asked any more."""
    llm = ScriptedLLM()
    made = resource_of(f"{kind}:v", llm).open()

    async def ask():
        await (made.embed(["a"]) if kind == "embedding" else made.rerank("a", ["a"]))

    async def main():
        await ask()
        await made.aclose()
        with pytest.raises(ProviderError, match="its client is closed"):
            await ask()

    run_virtual(main)
    assert llm.stats.calls == 1
