"""The pages on the command line: each line of `bash` is run in a folder with the page's own files, and says the same.

A block of Python or YAML that opens with the name of a file, `# orders.py`, is that file. `hush ... # 3` exits with 3.
A `text` block right below is what the terminal shows, standard error first.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from docs.printed import ROOT
from hush.cli._exit import MEANINGS
from kit.command import Ran, hush, modules_kept

PAGES = [ROOT / "docs" / "command-line.md", ROOT / "docs" / "vi" / "command-line.md"]
_BLOCK = re.compile(r"^```(python|yaml|bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")
_CODE = re.compile(r"\s# (?:\D*\s)?(\d+)$")
_HOME = "/home/ada/shop"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HUSH_CONFIG", "HUSH_RESOURCES", "HUSH_TRACES_DB"):
        monkeypatch.delenv(name, raising=False)
    with modules_kept():
        yield tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_line_does_what_the_page_says(page, folder):
    ran: list[Ran] = []
    done = 0
    for mark, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        file = _FILE.match(text)
        if mark in ("python", "yaml") and file:
            (folder / file[1]).write_text(text, encoding="utf-8")
        elif mark == "bash":
            ran = [one for line in text.splitlines() if (one := run(line, folder)) is not None]
            done += len(ran)
        elif mark == "text" and ran:
            shown = "".join(one.err + one.out for one in ran).replace(str(folder), _HOME)
            assert shown.splitlines() == text.splitlines()
            ran = []
    assert done > 10


def run(line: str, folder: Path) -> Ran | None:
    """Do one line, ``hush ...`` or ``echo ... > file``; others are for people."""
    expected = _CODE.search(line)
    words = shlex.split(line, comments=True)
    if words[:1] == ["echo"]:
        mode = {">": "w", ">>": "a"}[words[-2]]
        with (folder / words[-1]).open(mode, encoding="utf-8") as file:
            file.write(" ".join(words[1:-2]) + "\n")
        return None
    if words[:1] != ["hush"]:
        return None
    ended = hush(*words[1:])
    assert ended.code == (int(expected[1]) if expected else 0), f"{line}\n{ended.err}"
    return ended


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_option_and_code_is_named(page):
    text = page.read_text(encoding="utf-8")
    for command in ("run", "check", "graph", "init", "resources", "show", "traces"):
        assert f"hush {command}" in text
    for option in set(re.findall(r"--[a-z][a-z-]+", hush("run", "--help").out)) - {"--help"}:
        assert f"`{option}" in text, option
    codes = set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))
    assert codes == {str(code.value) for code in MEANINGS}
