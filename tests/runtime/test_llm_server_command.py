"""``python -m hush.testing.llm_server``: prints its URL, serves, and ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
COMMAND = [sys.executable, "-m", "hush.testing.llm_server"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_a_script_and_ends_on_a_signal(tmp_path, told):
    script = tmp_path / "script.yaml"
    script.write_text("rules:\n  - {contains: never, answer: {fault: timeout}}\nscript: [hello]\nthen: last\n")
    with subprocess.Popen([*COMMAND, str(script)], stdout=subprocess.PIPE, text=True, env=ENV) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
            request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=10) as answered:
                assert json.load(answered)["choices"][0]["message"]["content"] == "hello"
            process.send_signal(told)
            assert process.wait(10) == 0
            assert process.stdout.read() == ""
        finally:
            process.kill()


def test_a_script_that_is_wrong_is_told_with_its_line(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("seed: 1\nrulse: []\n")
    done = subprocess.run([*COMMAND, str(script)], check=False, capture_output=True, text=True, env=ENV, timeout=30)
    assert done.returncode == 2
    assert f"{script}:2: rulse" in done.stderr
    assert "Traceback" not in done.stderr
    gone = subprocess.run([*COMMAND, "gone.yaml"], check=False, capture_output=True, text=True, env=ENV, timeout=30)
    assert gone.returncode == 2
    assert "gone.yaml" in gone.stderr
