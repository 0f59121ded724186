"""The examples with language models, run as a newcomer runs them: without a key, and with one for a server at hand."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hush.testing import ScriptedLLM, llm_server

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 50.0
WITHOUT = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HUSH_CONFIG")


def start(cwd: Path, program: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in WITHOUT}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLES / program), *map(str, arguments)],
        cwd=cwd,
        env={**clean, "HOME": str(cwd), "PYTHONIOENCODING": "utf-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The server of a rehearsal holds the error output too: that this returns proves that it has ended."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def run(cwd: Path, program: str, *arguments: object, **env: str) -> str:
    code, out, err = finish(start(cwd, program, *arguments, **env))
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_three_prompts_at_once_take_as_long_as_the_slowest(tmp_path: Path) -> None:
    out = run(tmp_path, "parallel_llm.py")
    assert "There is no key, so the models are scripted ones" in out
    assert re.search(r"^sentiment +positive$", out, re.MULTILINE)
    assert re.search(r"^summary +llm:gpt-4 +89 +0\.000350 ", out, re.MULTILINE)
    [(together, one_by_one)] = re.findall(r"they took ([\d.]+) s; .* would have been ([\d.]+) s", out)
    assert float(together) < float(one_by_one)


def test_an_ensemble_a_router_and_a_fallback(tmp_path: Path) -> None:
    out = run(tmp_path, "multi_model.py")
    assert "There is no key, so the models are scripted ones" in out
    assert "judged   Air scatters the short waves of sunlight" in out
    assert "llm:cheap    What is the capital of Vietnam? -> Hanoi." in out
    assert "llm:strong   Prove that the square root of 2" in out
    assert "of 8 questions, {'llm:cheap': 8}" in out
    assert "RefusedByProvider: llm:down (here) answered 503" in out


@pytest.mark.parametrize(("program", "models"), [("parallel_llm.py", 2), ("multi_model.py", 3)])
def test_with_a_key_the_real_ones_are_asked(tmp_path: Path, program: str, models: int) -> None:
    llm = ScriptedLLM(api_key="sk-of-this-test")
    with llm_server(llm) as url:
        code, out, err = finish(start(tmp_path, program, OPENAI_API_KEY="sk-of-this-test", OPENAI_BASE_URL=f"{url}/v1"))
    assert code == 0, err
    assert "OPENAI_API_KEY is set" in out
    assert "sk-of-this-test" not in out + err
    assert len(llm.stats.by_model) == models
    assert set(llm.stats.by_status) == {200}


def test_a_file_that_names_the_models_goes_first(tmp_path: Path) -> None:
    (tmp_path / "resources.yaml").write_text("llm:gpt-4: {type: scripted}\nllm:gpt-4-mini: {type: scripted}\n")
    out = run(tmp_path, "parallel_llm.py", OPENAI_API_KEY="sk-not-used")
    assert "The models are those of resources.yaml." in out
    assert out.count("echo: The night train") == 3


def test_a_batch_writes_answers_and_failures_and_asks_again_only_what_failed(tmp_path: Path, port: int) -> None:
    out = run(tmp_path, "batch_llm.py", "--questions", 150, "--port", port)
    assert "A rehearsal: a scripted model answers" in out
    folder = tmp_path / ".hush-demo/batch"
    expected = [{"id": f"q{n:05}", "answer": str(n * (n % 89 + 2))} for n in range(1, 151) if n != 7]
    assert lines(folder / "answers.jsonl") == expected
    [failure] = lines(folder / "failures.jsonl")
    assert (failure["line"], failure["kind"]) == (7, "RefusedByProvider")
    assert "context_length_exceeded" in str(failure["reason"])
    [calls] = re.findall(r"The server saw (\d+) calls", out)
    assert 153 <= int(calls) <= 180

    out = run(tmp_path, "batch_llm.py", "--questions", 150, "--port", port)
    assert "149 answers in .hush-demo/batch/answers.jsonl, 149 of them from the cache" in out
    assert "The server saw 1 calls" in out
    assert lines(folder / "answers.jsonl") == expected


def test_a_batch_that_is_stopped_goes_on_where_it_was(tmp_path: Path, port: int) -> None:
    process = start(tmp_path, "batch_llm.py", "--port", port)
    answers = tmp_path / ".hush-demo/batch/answers.jsonl"
    while process.poll() is None and not (answers.is_file() and answers.stat().st_size):
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    os.killpg(process.pid, signal.SIGINT)  # a terminal, too, sends it to all processes of the group
    code, _, err = finish(process)
    assert code == 1
    assert re.fullmatch(r"\nStopped after [\d,]+ lines\. Start it again: it goes on from there\.\n", err)
    stopped = lines(answers)
    assert stopped

    out = run(tmp_path, "batch_llm.py", "--questions", 60, "--port", port)
    [cached] = re.findall(r"(\d+) of them from the cache", out)
    assert int(cached) >= min(len(stopped), 59)


def test_a_batch_asks_nobody_real_without_a_key(tmp_path: Path) -> None:
    code, out, err = finish(start(tmp_path, "batch_llm.py", "--real"))
    assert (code, out) == (1, "")
    assert err == "There is no key: set OPENAI_API_KEY, or name llm:batch in resources.yaml.\n"
