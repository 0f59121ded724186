"""Secrets planted in settings are found nowhere: not in errors, problems, reprs, nor in what is behind an error."""

from __future__ import annotations

import traceback

import pytest

from hush.core import CodeNode, GraphNode, Hush, HushError, ResourceHub
from hush.core._resources._secrets import looks_secret

SECRET = "hunter2-Zq9"


@pytest.mark.parametrize(
    "text",
    ["Bearer abc", "bearer abc", "x Basic Zm9v", "sk-abc", "key: sk-proj-1", "-----BEGIN KEY", "db://me:pw@host/x"],
)
def test_shapes_of_secrets_are_known(text):
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text", ["", "fast", "bearer", "task-force", "https://host:80/a@b", "risk-free", "db://me@host"]
)
def test_other_texts_are_none(text):
    assert not looks_secret(text)


TEXTS = [
    # Under the name of a secret, wherever that lies and whatever is wrong beside it.
    f"limit:crm: {{rpm: x, api_key: {SECRET}}}",
    f"limit:crm: {{rpm: {{api_key: {SECRET}}}}}",
    f"limit:crm: {{rpm: [{SECRET}]}}",
    f"limit:crm: {{password: '${{GONE:{SECRET}}}'}}",
    # From a variable, as it is or in other text.
    "limit:crm: {rpm: '${PLANTED}'}",
    "limit:crm: {concurrency: 'x${PLANTED}x', rpm: '${PLANTED}'}",
    f"limit:crm: {{rpm: '${{GONE:{SECRET}}}'}}",
    # By its shape.
    f"limit:crm: {{rpm: sk-{SECRET}}}",
    f"limit:crm: {{rpm: Bearer {SECRET}}}",
    # In what is no variable, or no settings at all.
    f"limit:crm: {{rpm: '${{{SECRET}}}'}}",
    f"limit:crm: {{rpm: '${{}}{SECRET}'}}",
    f"limit:crm: {{rpm: '{SECRET}${{GONE'}}",
    f"limit:crm: {SECRET}",
    f"limit:crm: [{SECRET}]",
    # In text that is no YAML, or no safe one, with the secret on the line that is told.
    f"limit:crm:\n  password: {SECRET}: {SECRET}",
    f"limit:crm:\n  password: !{SECRET} 1",
    f"limit:crm:\n  password: !{SECRET}!{SECRET} 1",
    f"limit:crm:\n  password: *{SECRET}",
    f"limit:crm:\n  password: &{SECRET} *{SECRET}",
    f"limit:crm:\n  password: @{SECRET}",
    f"limit:crm:\n  password: '{SECRET}",
    f'limit:crm:\n  password: "{SECRET}\\z"',
    f"limit:crm:\n  password: {SECRET}\n  password: {SECRET}",
    f"limit:crm:\n  password: {SECRET}\x00",
    f"- {SECRET}",
    SECRET,
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_planted_secret_is_found_nowhere(tmp_path, monkeypatch, text):
    monkeypatch.setenv("PLANTED", SECRET)
    file = tmp_path / "r.yaml"
    file.write_text(text, encoding="utf-8")
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=dict, limit="crm")

    with pytest.raises(HushError) as raised:
        Hush(g, resources=file)
    told = told_of(raised.value)
    try:
        hub = ResourceHub(path=file)
    except HushError as error:
        told += told_of(error)
    else:
        told += [repr(hub), str(hub), *map(repr, hub.check()), *map(str, hub.check())]
        with pytest.raises(HushError) as raised:
            hub.limit("crm")
        told += told_of(raised.value)
    assert told
    assert not [one for one in told if SECRET in one or "hunter2" in one]


def told_of(error: BaseException | None) -> list[str]:
    """Everything that an error and those behind it say."""
    found = []
    while error is not None:
        found += [str(error), repr(error), repr(error.args), repr(vars(error))]
        found += ["".join(traceback.format_exception_only(error))]
        error = error.__cause__ or error.__context__
    return found


def test_a_secret_in_a_place_that_is_unknown_is_found_nowhere_in_the_repr_of_a_hub():
    hub = ResourceHub({"llm:gpt": {"api_key": SECRET}, "limit:crm": {"rpm": 5}})
    assert SECRET not in repr(hub) + repr(hub.check()) + repr(hub._entries) + repr(vars(hub)) + str(hub.limit("crm"))


def test_what_is_not_secret_is_shown(tmp_path):
    [one] = ResourceHub({"limit:crm": {"rpm": "fast"}}).check()
    assert "found 'fast'" in one.message
    [one] = ResourceHub({"limit:crm": {"rpm": "f" * 100}}).check()
    assert one.message.endswith(f"found '{'f' * 60}'…")
