"""The files that stand in docs/resources.md are read as resources, and mean what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.printed import ROOT
from hush.core import CodeNode, GraphNode, Hush, ResourceHub
from hush.core._resources._limit import LIMIT

PAGE = (ROOT / "docs" / "resources.md").read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "resources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_the_page_is_right(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_RATE", raising=False)
    hub = ResourceHub(path=file)
    assert hub.check() == []
    assert hub.keys() == ("limit:crm", "limit:model")
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


def test_every_setting_of_a_limit_is_named() -> None:
    said = set(re.findall(r"`(\w+)`", PAGE.partition("## Limits")[2].partition("\n##")[0])) - {"auto"}
    assert said == {*LIMIT.model().model_fields, *LIMIT.spellings}
