"""One text, three prompts, two models, all at once: a summary, keywords, and the mood of the text.

python examples/parallel_llm.py            scripted models, or your own if OPENAI_API_KEY is set
python examples/parallel_llm.py notes.txt  a text of your own

The three calls overlap, so the whole takes as long as the slowest of them. The simple tasks go to the cheaper model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _llm_parts.models import real_models, say_scripted

from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush, NodeFinished, NodeStarted, ResourceHub
from hush.providers import LLMNode, PromptNode
from hush.testing import Recorder, Reply, Rule, ScriptedLLM

MODELS = {"gpt-4": "gpt-4o", "gpt-4-mini": "gpt-4o-mini"}
TEXT = (
    "The night train from Hanoi was two hours late, and still I would take it again. The berth was clean, the tea was "
    "hot, and at dawn the whole carriage stood at the windows to see the sea come up beside the line at Lăng Cô."
)

with GraphNode(name="parallel-llm") as graph:
    # Same input, different prompts.
    prompt_summary = PromptNode(
        name="prompt_summary",
        inputs={"prompt": {"system": "Summarize the text in one sentence.", "user": "{text}"}, "text": PARENT["text"]},
    )
    prompt_keywords = PromptNode(
        name="prompt_keywords",
        inputs={"prompt": {"system": "List five keywords, with commas.", "user": "{text}"}, "text": PARENT["text"]},
    )
    prompt_sentiment = PromptNode(
        name="prompt_sentiment",
        inputs={"prompt": {"system": "Is it positive, negative or mixed?", "user": "{text}"}, "text": PARENT["text"]},
    )

    # The calls. None of them needs another one, so they are made at once.
    llm_summary = LLMNode(name="summary", resource_key="gpt-4", inputs={"messages": prompt_summary["messages"]})
    llm_keywords = LLMNode(name="keywords", resource_key="gpt-4-mini", inputs={"messages": prompt_keywords["messages"]})
    llm_sentiment = LLMNode(
        name="sentiment", resource_key="gpt-4-mini", inputs={"messages": prompt_sentiment["messages"]}
    )

    merge = CodeNode(
        name="merge",
        code_fn=lambda summary, keywords, sentiment: {"summary": summary, "keywords": keywords, "sentiment": sentiment},
        inputs={
            "summary": llm_summary["content"],
            "keywords": llm_keywords["content"],
            "sentiment": llm_sentiment["content"],
        },
        outputs={"*": PARENT},
    )

    START >> [prompt_summary, prompt_keywords, prompt_sentiment]
    prompt_summary >> llm_summary
    prompt_keywords >> llm_keywords
    prompt_sentiment >> llm_sentiment
    [llm_summary, llm_keywords, llm_sentiment] >> merge >> END


def scripted_models() -> ResourceHub:
    """Models that answer what a prompt of the graph asks for, after a while."""
    answers = {
        "Summarize": Reply("A late night train was worth the wait, for its comfort and the view.", latency_s=1.2),
        "keywords": Reply("night train, Hanoi, comfort, dawn, Lăng Cô", latency_s=0.9),
        "positive": Reply("positive", latency_s=0.6),
    }
    llm = ScriptedLLM(
        [
            Rule(when=lambda request, word=word: word in request.system, answer=answer)
            for word, answer in answers.items()
        ]
    )
    prices = {"gpt-4": {"input": 2.5, "output": 10.0}, "gpt-4-mini": {"input": 0.15, "output": 0.6}}
    return ResourceHub({f"llm:{key}": {"type": "scripted", "llm": llm, "price": prices[key]} for key in MODELS})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="a text of your own")
    file = parser.parse_args().file
    text = TEXT if file is None else file.read_text(encoding="utf-8")

    hub = real_models(MODELS)
    if hub is None:
        say_scripted(MODELS)
        hub = scripted_models()
    events = Recorder()
    result = Hush(graph, resources=hub).run_sync({"text": text}, keep=True, tracer=events)

    for key in ("summary", "keywords", "sentiment"):
        print(f"{key:10} {result[key]}")
    print(f"\n{'call':10} {'model':16} {'tokens':>7} {'dollars':>9} {'seconds':>8}")
    began_ns = {event.path: event.at_ns for event in events.of(NodeStarted)}
    took_s = {event.path: (event.at_ns - began_ns[event.path]) / 1e9 for event in events.of(NodeFinished)}
    calls = ("summary", "keywords", "sentiment")
    for name in calls:
        call = result.nodes[name]
        cost = "unknown" if call["cost"] is None else f"{call['cost']:.6f}"
        tokens = call["usage"]["total_tokens"] or 0
        print(f"{name:10} {call['model_used']:16} {tokens:>7} {cost:>9} {took_s[f'parallel-llm/{name}']:>8.1f}")
    one_by_one_s = sum(took_s[f"parallel-llm/{name}"] for name in calls)
    print(f"\nTogether they took {result.seconds:.1f} s; one after the other it would have been {one_by_one_s:.1f} s.")


if __name__ == "__main__":
    main()
