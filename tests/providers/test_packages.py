"""What is not installed is told with the extra that brings it, when it is needed and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, {src!r})
from hush.core import PARENT, GraphNode, Hush, ResourceHub
from hush.providers import LLMNode

hub = ResourceHub({{
    "llm:o": {{"type": "openai", "api_key": "k", "model": "gpt-4o", "base_url": "http://127.0.0.1:9/v1"}},
    "llm:a": {{"type": "anthropic", "api_key": "k", "model": "m", "base_url": "http://127.0.0.1:9"}},
    "rerank:r": {{"type": "cohere", "api_key": "k", "model": "m", "base_url": "http://127.0.0.1:9"}},
    "llm:h": {{"type": "openai", "api_key": "k", "model": "m", "http2": True}},
}})
for one in hub.check():
    print(one.path, one.message)
with GraphNode(name="g") as g:
    LLMNode(resource_key={key!r}, inputs={{"messages": "hi"}}, outputs=PARENT)
try:
    Hush(g, resources=hub).run_sync()
except Exception as error:
    print(type(error).__name__, error)
"""


def told(*blocked, key="o"):
    program = PROGRAM.format(blocked=set(blocked), src=str(SRC), key=key)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("package", "key", "said"),
    [
        ("openai", "o", "llm:o needs the package openai: pip install 'hushflow[llm]'"),
        ("anthropic", "a", "llm:a needs the package anthropic: pip install 'hushflow[anthropic]'"),
    ],
)
def test_a_client_that_is_not_there_is_named_with_its_extra(package, key, said):
    text = told(package, "h2", key=key)
    assert f"llm:{key} {said}" in text  # by check()
    assert f"ImportError {said}" in text  # in a run
    assert "llm:h http2 needs the package h2: pip install 'hushflow[http2]'" in text


def test_where_there_is_no_http_client_at_all():
    text = told("openai", "httpx2", "anthropic")
    assert "rerank:r rerank:r needs the package httpx2: pip install 'hushflow[llm]'" in text
