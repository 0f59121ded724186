"""The files that stand in our pages are read as resources; that of the page on resources means what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.printed import ROOT
from hush.core import CodeNode, GraphNode, Hush, ResourceHub
from hush.core._resources._limit import LIMIT
from hush.providers._resources._llm import LLM
from hush.providers._resources._vectors import EMBEDDING, RERANK

_FILE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FILES = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in _PAGES
    for number, text in enumerate(_FILE.findall(page.read_text(encoding="utf-8")))
    if not text.startswith("# script.yaml")  # which is a scripted model's
]
_LIMITS = [("resources.md", "## Limits\n"), ("vi/resources.md", "## Limit\n")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text, *_ = _FILE.findall((ROOT / "docs" / "resources.md").read_text(encoding="utf-8"))
    path = tmp_path / "resources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", _FILES)
def test_every_file_in_a_page_is_right(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(name, "the-key-of-no-other-test")
    path = tmp_path / "resources.yaml"
    path.write_text(text, encoding="utf-8")
    hub = ResourceHub(path=path)
    assert hub.check(open=False) == []
    assert hub.keys()


def test_the_file_of_the_page_is_right(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_RATE", raising=False)
    hub = ResourceHub(path=file)
    assert hub.keys() == ("llm:gpt-4", "limit:crm", "limit:model")
    assert (hub.limit("crm").concurrency, hub.limit("crm").per_second) == (10, 5)
    model = hub.limit("model")
    assert (model.concurrency, model.per_minute, model.tokens_per_minute) == ("auto", 60, 100_000)


def test_it_is_found_beside_the_program(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.delenv("HUSH_CONFIG", raising=False)
    monkeypatch.setenv("CRM_RATE", "7")
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=dict, limit=["crm", "model"])
    Hush(graph).run_sync()
    assert ResourceHub.default().limit("crm").per_second == 7


@pytest.mark.parametrize(("page", "heading"), _LIMITS)
def test_every_setting_of_a_limit_is_named(page: str, heading: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)`", text.partition(heading)[2].partition("\n##")[0])) - {"auto"}
    assert said == {*LIMIT.kinds[0].model().model_fields, *LIMIT.kinds[0].spellings}


@pytest.mark.parametrize(("page", "heading"), [("resources.md", "## Models\n"), ("vi/resources.md", "## Mô hình\n")])
def test_every_setting_of_a_model_is_named(page: str, heading: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n##")[0]
    said = set(re.findall(r"`(\w+)`", text))
    fields = {
        field
        for type_ in (LLM, EMBEDDING, RERANK)
        for kind in type_.kinds
        for field in kind.model().model_fields
        if field != "cost_per_output_token"
    }
    assert fields - said - {"deployment", "api_version"} == set()
    assert {kind.name for type_ in (LLM, EMBEDDING, RERANK) for kind in type_.kinds} - said == set()
