"""Several models for one question: an ensemble with a judge, a router that chooses, and another one if one is down.

python examples/multi_model.py             scripted models, or your own if OPENAI_API_KEY is set
python examples/multi_model.py "Why ...?"  a question of your own, for the ensemble
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Any

from _llm_parts.models import real_models, say_scripted
from pydantic import BaseModel, Field

from hush.core import (
    END,
    PARENT,
    START,
    BranchNode,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    NodeRerouted,
    ResourceHub,
)
from hush.providers import LLMChainNode, LLMNode
from hush.testing import Fault, Recorder, Reply, Rule, ScriptedLLM

MODELS = {"cheap": "gpt-4o-mini", "strong": "gpt-4o", "other": "gpt-4.1-mini"}
QUESTION = "Why is the sky blue? One sentence."
NOBODY = {"llm:down": {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "any"}}


# --- an ensemble ------------------------------------------------------------------------------------------------------
class Verdict(BaseModel):
    """What the judge answers."""

    best: int = Field(ge=1, le=3, description="the number of the best answer")
    reason: str


def number_them(cheap: str, strong: str, other: str) -> dict[str, Any]:
    """The answers, for the judge, who is not to know whose they are."""
    answers = [cheap, strong, other]
    return {"answers": answers, "listed": "\n".join(f"{place}. {text}" for place, text in enumerate(answers, 1))}


def ensemble() -> GraphNode:
    """Asks all models at once; a judge picks one of the answers."""
    with GraphNode(name="ensemble") as graph:
        asked = [
            LLMNode(name=key, resource_key=key, inputs={"messages": PARENT["question"]}, timeout_s=60) for key in MODELS
        ]
        listed = CodeNode(name="listed", code_fn=number_them, inputs={node.name: node["content"] for node in asked})
        judge = LLMChainNode(
            name="judge",
            resource_key="strong",
            parser=Verdict,
            inputs={
                "prompt": {"system": "Which answer is best?", "user": "Question: {question}\n\nAnswers:\n{listed}"},
                "question": PARENT["question"],
                "listed": listed["listed"],
                "temperature": 0,
            },
        )
        CodeNode(
            name="pick",
            code_fn=lambda answers, verdict: {"answer": answers[verdict.best - 1], "reason": verdict.reason},
            inputs={"answers": listed["answers"], "verdict": judge["parsed"]},
            outputs=PARENT,
        )
        START >> asked
    return graph


# --- a router ---------------------------------------------------------------------------------------------------------
def router() -> GraphNode:
    """A cheap model says how hard the question is; only the hard ones go to the strong one."""
    with GraphNode(name="router") as graph:
        triage = LLMChainNode(
            name="triage",
            resource_key="cheap",
            inputs={
                "prompt": {"system": "Is the question easy or hard? Answer with one word.", "user": "{question}"},
                "question": PARENT["question"],
                "max_tokens": 5,
            },
            parser=lambda text: "hard" if "hard" in text.lower() else "easy",
        )
        route = BranchNode(
            name="route", cases={"level == 'hard'": "strong"}, default="cheap", inputs={"level": triage["parsed"]}
        )
        for key in ("cheap", "strong"):
            LLMNode(
                name=key,
                resource_key=key,
                inputs={"messages": PARENT["question"]},
                outputs={"content": PARENT["answer"], "model_used": PARENT, "cost": PARENT},
            )
        START >> triage >> route
    return graph


# --- a fallback -------------------------------------------------------------------------------------------------------
def fallback() -> GraphNode:
    """Asks a model that is down, and another one in its place."""
    with GraphNode(name="fallback") as graph:
        with MapNode(name="each", inputs={"question": Each(PARENT["questions"])}, max_concurrency=1) as each:
            ask = LLMNode(name="ask", resource_key="down", fallback=["cheap"], inputs={"messages": PARENT["question"]})
            ask["model_used"] >> PARENT["model_used"]
            START >> ask >> END
        each["model_used"] >> PARENT["models"]
    return graph


# --- models that cost nothing -----------------------------------------------------------------------------------------
def scripted_models() -> dict[str, Any]:
    """One model for each key, which answers as such a model might."""
    sky = {
        "cheap": "Because of the atmosphere.",
        "strong": "Air scatters the short waves of sunlight, the blue ones, far more than the long ones.",
        "other": "It mirrors the sea.",
    }
    prices = {"cheap": (0.15, 0.6), "strong": (2.5, 10.0), "other": (0.4, 1.6)}
    found: dict[str, Any] = {}
    for key, answer in sky.items():
        rules = [
            Rule(
                when=lambda request: "best" in request.system,
                answer=Reply({"best": 2, "reason": "It names the cause."}),
            ),
            Rule(when=lambda request: "easy" in request.system and "Prove" in request.text, answer="Hard."),
            Rule(when=lambda request: "easy" in request.system, answer="Easy."),
            Rule("sky", answer),
            Rule("capital of Vietnam", "Hanoi."),
            Rule("Prove", "Suppose p/q is in lowest terms and its square is 2 ..."),
        ]
        llm = ScriptedLLM(rules, latency_s=(0.05, 0.2))
        price = dict(zip(("input", "output"), prices[key], strict=True))
        found[f"llm:{key}"] = {"type": "scripted", "llm": llm, "price": price}
    return found


def main() -> None:
    question = " ".join(sys.argv[1:]) or QUESTION
    logging.disable(logging.WARNING)  # of the model that is down, which is what is shown here
    hub = real_models(MODELS, NOBODY)
    if hub is None:
        say_scripted(MODELS)
        hub = ResourceHub(
            {**scripted_models(), "llm:down": {"type": "scripted", "llm": ScriptedLLM(faults=[Fault(503)])}}
        )

    result = Hush(ensemble(), resources=hub).run_sync({"question": question}, keep=True)
    print(f"Ensemble: {question}")
    for key in MODELS:
        print(f"  {key:8} {result.nodes[f'ensemble/{key}']['content']}")
    print(f"  judged   {result['answer']} ({result['reason']})")
    costs = [result.nodes[f"ensemble/{name}"]["cost"] for name in (*MODELS, "judge")]
    print(f"  four calls in {result.seconds:.1f} s for {sum(cost or 0 for cost in costs):.6f} dollars\n")

    print("Router")
    engine = Hush(router(), resources=hub)
    for one in ("What is the capital of Vietnam?", "Prove that the square root of 2 is irrational."):
        result = engine.run_sync({"question": one})
        print(f"  {result['model_used']:12} {one} -> {result['answer'][:60]}")

    events = Recorder()
    countries = ("Vietnam", "Laos", "Japan", "Kenya", "Peru", "Norway", "Chad", "Fiji")
    questions = [f"What is the capital of {country}?" for country in countries]
    result = Hush(fallback(), resources=hub).run_sync({"questions": questions}, tracer=events)
    rerouted = events.of(NodeRerouted)
    print(f"\nFallback: of {len(questions)} questions, {dict(Counter(result['models']))}")
    print(f"  llm:down was tried for {len(rerouted)} of them, then it was known to be down. The first time it said:")
    print(f"  {type(rerouted[0].error).__name__}: {rerouted[0].error}")


if __name__ == "__main__":
    main()
