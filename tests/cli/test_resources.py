"""``hush resources``: what a file of resources has, and whether it works."""

from __future__ import annotations

import pytest

from kit.command import hush

FILE = """\
llm:echo: {type: scripted}
limit:crm:
  concurrency: 4
llm:broken:
  type: openai
  api_key: ${NO_SUCH_KEY}
  model: m
"""


def test_all_are_tried_and_what_does_not_work_is_told(write):
    write("resources.yaml", FILE)
    ran = hush("resources", "check")
    assert ran.code == 1
    assert ran.out.startswith("llm:echo: works (")
    assert "resources.yaml:6" in ran.out
    assert "NO_SUCH_KEY" in ran.out
    assert ran.out.endswith("2 of 3 work\n")
    data = hush("resources", "check", "--json").data
    assert list(data["works"]) == ["llm:echo", "limit:crm"]
    assert data["fails"]["llm:broken"][0]["line"] == 6


def test_where_all_work_the_code_is_0(write):
    write("deep/r.yaml", "limit:crm: {concurrency: 4}\n")
    assert hush("resources", "check", "--resources", "deep/r.yaml").code == 0


def test_they_are_listed_by_their_keys(write):
    write("resources.yaml", FILE)
    ran = hush("resources", "list")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == ["llm:echo", "limit:crm", "llm:broken"]
    assert "resources.yaml:4" in ran.out
    two = hush("resources", "list", "--json", "--limit", "2").data
    rows = [(one["key"], one["type"], one["line"]) for one in two]
    assert rows == [("llm:echo", "scripted", 1), ("limit:crm", None, 2)]


@pytest.mark.parametrize("command", ["check", "list"])
def test_where_there_are_none_it_says_where_it_looked(command):
    ran = hush("resources", command)
    assert (ran.code, ran.out) == (2, "")
    assert "./resources.yaml" in ran.err


def test_secrets_of_a_file_are_not_shown(write, monkeypatch):
    monkeypatch.setenv("PLANTED", "hunter2hunter2")
    write("resources.yaml", 'llm:x: {type: openai, api_key: "${PLANTED}", base_url: "http://127.0.0.1:9", model: m}\n')
    for arguments in (["list"], ["list", "--json"], ["check", "--timeout", "2"], ["check", "--json", "--timeout", "2"]):
        ran = hush("resources", *arguments)
        assert "hunter2" not in ran.out + ran.err
