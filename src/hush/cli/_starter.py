"""The files of a small project to start from, which runs without network and keys."""

from __future__ import annotations

GRAPH = '''\
"""A letter to each customer: what he bought is added up, and a model writes.

    hush check graph.py
    hush run graph.py --inputs inputs.json
"""

from hush.core import PARENT, Each, GraphNode, MapNode, code_node
from hush.providers import LLMNode, PromptNode


@code_node
def add_up(order: dict) -> dict:
    """An ordinary function: its parameters are inputs, the keys of what it returns are outputs."""
    total = sum(item["price"] * item["count"] for item in order["items"])
    return {"name": order["customer"], "total": round(total, 2)}


with GraphNode(name="letters") as graph:
    # One run of the block for each order, at most four at a time. An order that fails leaves a None among the letters,
    # and the others go on.
    with MapNode(
        name="each", inputs={"order": Each(PARENT["orders"])}, max_concurrency=4, outputs={"letter": PARENT["letters"]}
    ):
        added = add_up(name="add_up", inputs={"order": PARENT["order"]})
        prompt = PromptNode(
            name="prompt",
            inputs={
                "prompt": "Thank {name} for an order of {total} euros, in one sentence.",
                "name": added["name"],
                "total": added["total"],
            },
        )
        # "writer" is what stands under llm:writer in resources.yaml.
        write = LLMNode(name="write", resource_key="writer", inputs={"messages": prompt["messages"]})
        write["content"] >> PARENT["letter"]
'''

RESOURCES = """\
# What the graph names, and what stands behind the name. `hush resources check` tries all of it.

# A model of the tests: it answers what it is asked, costs nothing, and needs neither network nor key.
llm:writer:
  type: scripted

# A real one in its place, with `pip install "hushflow[llm]"`; the key is a variable of the environment and not written
# here. What stands behind the colon is the default.
#
# llm:writer:
#   type: openai
#   api_key: ${OPENAI_API_KEY}
#   base_url: ${OPENAI_BASE_URL:https://api.openai.com/v1}
#   model: gpt-4o-mini
#   limits: {rpm: 500, concurrency: 8}
"""

INPUTS = """\
{
  "orders": [
    {"customer": "Ada", "items": [{"price": 9.5, "count": 2}, {"price": 1.25, "count": 4}]},
    {"customer": "Grace", "items": [{"price": 30, "count": 1}]}
  ]
}
"""

TEST = '''\
"""`python -m pytest` runs it: on a virtual clock, and with a model that answers by rule."""

from graph import add_up, graph

from hush.core import Hush
from hush.testing import Rule, ScriptedLLM, run_virtual

ORDERS = [
    {"customer": "Ada", "items": [{"price": 2.5, "count": 2}]},
    {"customer": "Grace", "items": []},
]


def test_what_was_bought_is_added_up():
    assert add_up.fn(ORDERS[0]) == {"name": "Ada", "total": 5.0}


def test_each_order_gets_its_letter():
    model = ScriptedLLM([Rule("Ada", "Thank you, Ada."), Rule("Grace", "Thank you, Grace.")])
    engine = Hush(graph, resources={"llm:writer": {"type": "scripted", "llm": model}})
    result = run_virtual(lambda: engine.run({"orders": ORDERS}))
    assert result == {"letters": ["Thank you, Ada.", "Thank you, Grace."]}


def test_the_graph_has_no_problems():
    assert graph.check() == []
'''

README = """\
# Letters

A small project with Hush (`hushflow` on PyPI): `graph.py` is the graph, `resources.yaml` says what stands behind the
names in it, `inputs.json` has inputs to try, `test_graph.py` tests it. Nothing here needs a network or a key.

```bash
hush check graph.py                       # everything that is wrong with it, before it runs
hush run graph.py --inputs inputs.json    # its result as JSON
python -m pytest                          # its tests
```

More: `hush graph graph.py` draws it, `hush run graph.py --inputs inputs.json --trace` records a run and says how to
look at it, and `hush --help` lists everything. For a real model, `resources.yaml` says what to write.
"""

IGNORED = """\
__pycache__/
.pytest_cache/
.venv/
.env
.env.*
*.egg-info/

# What runs leave: traces, caches
*.db
*.db-shm
*.db-wal
"""

FILES = {
    "graph.py": GRAPH,
    "resources.yaml": RESOURCES,
    "inputs.json": INPUTS,
    "test_graph.py": TEST,
    "README.md": README,
    ".gitignore": IGNORED,
}
