"""Types and kinds that other distributions add: what is broken is a problem of the resources that need it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"
POINTS = """[hush.resources]
acme = acme:ACME
acme.second = acme:SECOND
acme.gone = acme_gone:KIND
acme.other = acme:ACME
llm.acme = acme:LLM
llm.gone = acme_gone:KIND
llm.openai = acme:SECOND
gone = acme_gone:TYPE
twice = acme:ACME
"""
MODULE = """
from pydantic import BaseModel, ConfigDict
from hush.core.extend import ResourceKind, ResourceType
from hush.core import Limit

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = "here"
    api_key: str = ""

class Thing:
    limit = None
    def __init__(self, key, given):
        self.name, self.identity, self.given = key, given.url, given
    def open(self):
        return self
    async def aclose(self):
        pass
    async def probe(self):
        if self.given.url == "leak":
            raise OSError("no answer to " + self.given.api_key)
        return "asked " + self.given.url

def make(key, given):
    if given.url == "bad":
        raise RuntimeError("cannot reach it with " + given.api_key)
    return Thing(key, given)

ACME = ResourceType("acme", "an acme", Thing, "type: first", (ResourceKind("first", lambda: Settings, make),))
SECOND = ResourceKind("second", lambda: Settings, make, {}, ("SecondConfig",))
LLM = ResourceKind("acme", lambda: Settings, make, {}, ("AcmeConfig",))
"""
SETTINGS = {
    "acme:a": {"type": "first", "url": "there"},
    "acme:b": {"type": "second"},
    "acme:c": {"type": "gone"},
    "acme:d": {"type": "other"},
    "acme:e": {"_class": "SecondConfig"},
    "acme:f": {"_class": "SecondConfg"},
    "acme:g": {"type": "first", "url": "bad", "api_key": "planted-key"},
    "acme:h": {"type": "first", "url": "leak", "api_key": "planted-key"},
    "llm:a": {"type": "acme"},
    "llm:b": {"type": "gone"},
    "llm:c": {"_class": "AcmeConfig"},
    "llm:d": {"type": "openai", "model": "m", "api_key": "k", "base_url": "http://127.0.0.1:9/v1"},
    "gone:a": {},
    "twice:a": {},
    "limit:a": {"rpm": 5},
}
PROGRAM = f"""
import json, sys
from hush.core import ResourceHub
hub = ResourceHub(json.loads({json.dumps(json.dumps(SETTINGS))}))
found = hub.check(open=False)
opened = hub.check()
json.dump([{{one.path: [one.message, one.mend] for one in [*found, *opened]}}, opened.works], sys.stdout)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acme")
    for name, points in (("acme-1", POINTS), ("acme_again-1", "[hush.resources]\ntwice = acme:SECOND\n")):
        info = folder / f"{name}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[:-2]}\nVersion: 1\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
    (folder / "acme.py").write_text(MODULE, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(SRC)])}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=True)
    problems, works = json.loads(done.stdout)
    return problems, works, done.stderr


def test_what_is_whole_works(found):
    problems, works, _ = found
    fine = {"acme:a", "acme:b", "acme:e", "llm:a", "llm:c", "limit:a"}
    assert fine.isdisjoint(problems)
    assert problems.keys() | fine == SETTINGS.keys()
    assert works == {
        "acme:a": "asked there",
        "acme:b": "asked here",
        "acme:e": "asked here",
        "llm:a": "asked here",
        "llm:c": "asked here",
        "limit:a": "its settings are right",
    }


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("acme:c", "type: the entry point acme.gone of acme (acme_gone:KIND) cannot be loaded: ModuleNotFoundError"),
        ("acme:d", "type: the entry point acme.other of acme (acme:ACME) is a ResourceType, not a ResourceKind"),
        ("acme:f", "_class: 'SecondConfg' is no kind of acme"),
        ("llm:b", "type: the entry point llm.gone of acme (acme_gone:KIND) cannot be loaded: ModuleNotFoundError"),
        ("gone:a", "the entry point gone of acme (acme_gone:TYPE) cannot be loaded: ModuleNotFoundError"),
        ("twice:a", "the entry points twice of acme"),
        ("acme:h", "no answer to [secret]"),
        ("llm:d", "127.0.0.1: no connection"),
        ("acme:g", "it cannot be made: RuntimeError: cannot reach it with [secret]"),
    ],
)
def test_what_is_broken_says_what_and_whose(found, key, said):
    message, _ = found[0][key]
    assert message.startswith(said)


def test_a_class_that_nobody_knows_names_what_could_not_be_looked_at(found):
    _, mend = found[0]["acme:f"]
    assert mend.startswith("Did you mean SecondConfig? Not all are known: the entry point acme.gone")


def test_what_hush_has_itself_is_not_replaced(found):
    assert "the entry point llm.openai of acme (acme:SECOND) is not used: Hush has a llm.openai itself" in found[2]
