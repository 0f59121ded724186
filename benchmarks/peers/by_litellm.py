"""litellm: one way to ask many models. Its router has retries, fallbacks and limits; it has no graphs."""

from __future__ import annotations

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices when it is imported

from benchmarks._llm import ASKED, MODEL, at_once, message, where
from benchmarks.peers import _rows
from benchmarks.peers._job import Job, Jobs


def routed() -> Job:
    from litellm import Router

    settings = {"model": f"openai/{MODEL}", "api_base": where(), "api_key": "none"}
    router = Router(model_list=[{"model_name": MODEL, "litellm_params": settings}], num_retries=0)

    async def one(question: str) -> str:
        return (await router.acompletion(model=MODEL, messages=message(question))).choices[0].message.content

    return Job(call=lambda: at_once(one, ASKED))


def plain() -> Job:
    from litellm import acompletion

    async def one(question: str) -> str:
        reply = await acompletion(
            model=f"openai/{MODEL}", api_base=where(), api_key="none", messages=message(question), num_retries=0
        )
        return reply.choices[0].message.content

    return Job(call=lambda: at_once(one, ASKED))


JOBS: Jobs = {"llm": {"Router": routed, "acompletion": plain}}
CANNOT = {row.name: "no graphs" for row in _rows.ALL if row.name not in JOBS}
NOTES = {"llm": "a semaphore by hand"}
