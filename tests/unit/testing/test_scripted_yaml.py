"""Scripts written in YAML: read safely, and wrong with their line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hush.testing import Fault, Reply, Rule, ScriptedFault, ScriptedLLM, ScriptError, run_virtual

SRC = Path(__file__).parents[3] / "src"

SCRIPT = """\
seed: 7
latency_s: [1, 1]
per_token_s: 0.25
api_key: a-key
models: [small, big]
limits: {rpm: 600, concurrency: 8}
model_limits:
  big: {tpm: 48}
embeddings: {dimensions: 4}
faults:
  - {fault: rate_limited, first: 1, retry_after_s: 2, retry_after_as: date}
  - fault: 503
    numbers: [3]
    model: small
rules:
  - contains: weather
    answer: Sunny.
  - matches: '^\\d+$'
    times: 2
    answer:
      - {content: one, finish_reason: length}
      - fault: overloaded
  - model: big
    answer:
      content: {sum: 3}
      tool_calls:
        - {name: add, arguments: {a: 1}}
      thinking: let me see
      usage: {prompt_tokens: 40, completion_tokens: 4, cached_tokens: 30}
script:
  - first
  - second
then: repeat
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_says_all_that_code_can_say(tmp_path):
    llm = ScriptedLLM.from_yaml(written(tmp_path, SCRIPT))
    said = ScriptedLLM(
        [
            Rule("weather", "Sunny."),
            Rule(matches=r"^\d+$", times=2, answer=[Reply("one", finish_reason="length"), Fault("overloaded")]),
            Rule(model="big", answer={
                "content": {"sum": 3}, "tool_calls": [{"name": "add", "arguments": {"a": 1}}],
                "thinking": "let me see", "usage": {"prompt_tokens": 40, "completion_tokens": 4, "cached_tokens": 30},
            }),
            "first",
            "second",
        ],
        seed=7, latency_s=1, per_token_s=0.25, models=["small", "big"], limits={"rpm": 600, "concurrency": 8},
        model_limits={"big": {"tpm": 48}}, embeddings={"dimensions": 4}, then="repeat",
        faults=[Fault(429, first=1, retry_after_s=2, retry_after_as="date"), Fault(503, numbers=[3], model="small")],
    )  # fmt: skip

    async def outcomes(each: ScriptedLLM) -> list[object]:
        found: list[object] = []
        for model, text in [
            ("small", "x"), ("small", "weather?"), ("small", "x"), ("small", "12"), ("small", "34"), ("small", "56"),
            ("small", "x"), ("small", "x"), ("big", "x"), ("big", "x"), ("other", "x"),
        ]:  # fmt: skip
            body = {"model": model, "messages": [{"role": "user", "content": text}]}
            try:
                found.append(await each.respond(body, stream=False))
            except ScriptedFault as error:
                found.append((error.kind, error.status, error.headers))
        return found

    from_yaml = run_virtual(lambda: outcomes(llm))
    assert from_yaml == run_virtual(lambda: outcomes(said))
    kinds = [each[0] if isinstance(each, tuple) else each["choices"][0]["message"]["content"] for each in from_yaml]
    assert kinds == [
        "rate_limited", "Sunny.", "unavailable", "one", "overloaded", "first", "second", "first", '{"sum": 3}',
        "limited", "wrong",
    ]  # fmt: skip
    assert llm.allows("a-key")
    assert not llm.allows("another", None)


def test_the_script_of_the_page_is_one(tmp_path):
    page = (SRC.parent / "docs" / "testing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(# script\.yaml\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert ScriptedLLM.from_yaml(written(tmp_path, block)).seed == 7


def test_an_empty_script_is_one_of_echoes(tmp_path):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    found = run_virtual(lambda: ScriptedLLM.from_yaml(written(tmp_path, "# nothing\n")).respond(body, stream=False))
    assert found["choices"][0]["message"]["content"] == "echo: x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: 1\nrulse: []\n", "script.yaml:2: rulse: a script has no 'rulse': did you mean 'rules'?"),
        ("rules:\n  - contains: x\n    answr: y\n", "script.yaml:3: rules[0].answr: a rule has no 'answr'"),
        ("rules:\n  - contains: x\n", "script.yaml:2: rules[0]: a rule has an answer"),
        (
            "rules:\n  - {answer: a}\n  - answer:\n      - a\n      - {contnt: b}\n",
            "script.yaml:5: rules[1].answer[1].contnt",
        ),
        (
            "rules:\n  - answer: {content: x, usage: {prompt_tokens: -1}}\n",
            "script.yaml:2: rules[0].answer.usage.prompt_tokens",
        ),
        ("script:\n  - a\n  - fault: timeuot\n", "script.yaml:3: script[1]"),
        ("faults:\n  - {fault: timeout, first: 0}\n", "script.yaml:2: faults[0].first: first is a whole number"),
        ("faults:\n  - fault: timeout\n    frist: 1\n", "script.yaml:3: faults[0].frist"),
        ("limits:\n  rpm: many\n", "script.yaml:2: limits.rpm"),
        ("model_limits:\n  big:\n    tpm: 0\n", "script.yaml:3: model_limits.big.tpm"),
        ("latency_s: soon\n", "script.yaml:1: latency_s"),
        ("then: stop\n", "script.yaml:1: then"),
        ("models: big\n", "script.yaml:1: models: models is a list"),
        ("- a\n", "script.yaml:1: a script is a mapping"),
        ("seed: 1\nseed: 2\n", "script.yaml:2: 'seed' stands here a second time"),
        ("a: [1\nb: 2\n", "script.yaml:2: this is no YAML"),
        ("seed: !!python/object/apply:os.system ['true']\n", "script.yaml:1: this is no YAML"),
        ("rules:\n  - {when: 'x', answer: a}\n", "script.yaml:2: rules[0].when: when is a function"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, says):
    with pytest.raises(ScriptError, match=re.escape(says)):
        ScriptedLLM.from_yaml(written(tmp_path, text))


def test_aliases_do_not_grow_without_bound(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(ScriptError, match="more than 200000 values"):
        ScriptedLLM.from_yaml(written(tmp_path, "\n".join([*lines, "script: [{content: *a29}]"])))
    with pytest.raises(ScriptError, match="yaml:1: an alias lies in what it names"):
        ScriptedLLM.from_yaml(written(tmp_path, "a: &a [*a]"))
    shared = "faults: [&f {fault: timeout, first: 1}, *f]\n"
    assert ScriptedLLM.from_yaml(written(tmp_path, shared)).stats.calls == 0


def test_the_kit_stays_light():
    """Rules and servers are loaded when they are asked for; YAML when a file is read."""
    heavy = "{'yaml', 'starlette', 'uvicorn', 'pydantic', 'httpx2', 'openai', 'hush.testing._scripted'}"
    code = f"import sys; sys.path.insert(0, {str(SRC)!r}); import hush.testing; print({heavy} & set(sys.modules)); "
    code += "hush.testing.ScriptedLLM, hush.testing.llm_server; "
    code += f"print(({heavy} - {{'hush.testing._scripted'}}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.split("\n")[:2] == ["set()", "set()"]


def test_the_server_can_be_named_by_its_module_too():
    code = f"import sys; sys.path.insert(0, {str(SRC)!r}); import hush.testing.llm_server; import hush.testing as t; "
    code += "print(type(t.llm_server(t.ScriptedLLM())).__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "llm_server"
