"""``hush init``: a project whose commands work as printed."""

from __future__ import annotations

import importlib
import os
import shlex
import subprocess
import sys

import pytest

from hush.cli._starter import FILES
from kit.command import ENV, hush


def try_all(folder, run_tests):
    """Do what ``hush init shop`` says to try."""
    ran = hush("init", "shop")
    assert (ran.code, ran.err) == (0, "")
    to_try = [line.strip() for line in ran.out.partition("Try:\n")[2].splitlines()]
    assert to_try[0] == "cd shop"
    assert to_try[-1] == "python -m pytest"
    os.chdir(folder / "shop")
    for line in to_try[1:-1]:
        program, *arguments = shlex.split(line)
        assert program == "hush"
        assert hush(*arguments).code == 0, line
    run_tests()


def test_what_it_says_to_try_works(folder):
    def run_tests():
        tests = vars(importlib.import_module("test_graph"))
        for name in tests:
            if name.startswith("test_"):
                tests[name]()

    try_all(folder, run_tests)
    assert hush("run", "graph.py", "--inputs", "inputs.json").data["letters"][0].startswith("echo: Thank Ada")
    assert hush("resources", "check").code == 0


@pytest.mark.nightly
def test_its_tests_run_as_it_says(folder):
    def run_tests():
        command = [sys.executable, "-m", "pytest", "-q"]
        done = subprocess.run(command, env=ENV, capture_output=True, text=True, check=False)
        assert "3 passed" in done.stdout, done.stdout + done.stderr

    try_all(folder, run_tests)


def test_no_file_is_overwritten(write, folder):
    write("graph.py", "mine")
    (folder / "README.md").symlink_to(folder / "nowhere")
    ran = hush("init")
    assert ran.code == 0
    assert (folder / "graph.py").read_text(encoding="utf-8") == "mine"
    assert not (folder / "nowhere").exists()
    assert ran.err.count("is there already") == 2
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert hush("init").err.count("is there already") == len(FILES)


def test_where_no_folder_can_be_made_it_says_so(write):
    write("file", "")
    ran = hush("init", "file")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "hush: file: File exists\n"


def test_a_name_that_begins_with_a_dash_is_no_option_of_cd():
    assert "    cd ./-x\n" in hush("init", "--", "-x").out
