"""Previews show no secret: neither what hides itself, nor its text elsewhere, nor a part of it at a cut."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pydantic
import pytest

from hush.core._resources import _secrets
from hush.core.extend import remember_secrets, without_secrets
from hush.observability._bounds import PREVIEW
from hush.observability._failure import failure_of
from hush.observability._preview import SECRET, clean, preview, shown
from kit.previews import dumped

pytestmark = pytest.mark.usefixtures("forgetting")


class Hiding(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class Hidden(Hiding):
    """Its class has the ``__repr__``."""

    __slots__ = ()


class Marked(str):
    """Shows itself, and says what it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Marked({super().__repr__()})"


def test_texts_that_hide_themselves_are_hidden_and_found_by_value_afterwards():
    assert shown([Hiding("a-hidden-word"), Hidden("another-word"), Marked("a plain text")]) == [
        SECRET,
        SECRET,
        "a plain text",
    ]
    assert without_secrets("a-hidden-word, another-word, a plain text") == f"{SECRET}, {SECRET}, a plain text"


def test_what_pydantic_hides_is_hidden():
    class Settings(pydantic.BaseModel):
        name: str
        shy: str = pydantic.Field(repr=False)
        key: pydantic.SecretStr
        raw: pydantic.SecretBytes

    value = Settings(name="n", shy="a-shy-value", key="pydantic-secret-value", raw=b"x")  # type: ignore[arg-type]
    assert shown(value) == {"name": "n", "key": SECRET, "raw": SECRET}
    assert without_secrets("it is pydantic-secret-value") == f"it is {SECRET}"


def test_a_million_texts_that_hide_themselves_are_not_all_remembered():
    known = len(_secrets._remembered)
    for number in range(2_000):
        assert shown(Hiding(f"hidden_number_{number}")) == SECRET
    assert len(_secrets._remembered) <= known + 1_000


@pytest.mark.parametrize("before", ["", "x" * 9_000, "sk-abcdefgh " * 1_500, "y" * 29_995])
def test_no_part_of_a_secret_stands_where_a_text_is_cut(before):
    for shift in range(0, 40, 7):
        text = f"{before}{'z' * shift} Bearer {'topsecret' * 30} {'w' * 40_000}"
        for longest in (10, 2_000, len(before) + 20):
            assert "topsec" not in clean(text, longest), (shift, longest)


def test_half_a_secret_at_the_end_of_what_is_searched_is_never_shown():
    """What goes before becomes so short that the end of the searched part would stand before the cut."""
    _secrets.remember_secrets(["planted-by-value"])
    before = ("sk-" + "a" * 997 + " ") * 11
    text = f"{before}{' ' * (12_000 - len(before) - 8)}planted-by-value{'w' * 50_000}"
    assert text[:12_000].endswith("planted-")
    assert "planted" not in clean(text, 2_000)


def test_names_of_values_are_cleaned_too():
    values = {"sk-secretkey1": 1, "a\ud800": 2, "Bearer abcdefgh": "x", "n" * 5_000: 3}
    found = dumped(preview(values, PREVIEW)) + dumped(preview({"x": values}, PREVIEW))
    assert "secretkey1" not in found
    assert "abcdefgh" not in found
    assert len(found) < 7_000


@pytest.fixture
def fresh_secrets() -> Iterator[None]:
    known = _secrets._remembered.copy()
    yield
    _secrets._remembered = known


@pytest.mark.usefixtures("fresh_secrets")
def test_a_text_that_was_plain_is_hidden_once_it_is_a_secret():
    """What was found to be no secret is kept, since the same texts come again and again; a new secret ends that."""
    values = {"a": "violet-hippo-42", "b": {"violet_hippo_43": ["violet-hippo-44"]}}
    assert preview(values, PREVIEW) == preview(values, PREVIEW) == values
    remember_secrets(["violet-hippo-42", "violet_hippo_43", "violet-hippo-44"])
    assert preview(values, PREVIEW) == {"a": SECRET, "b": {SECRET: [SECRET]}}


@pytest.mark.usefixtures("fresh_secrets")
def test_a_text_that_was_looked_at_just_before_it_was_a_secret_is_not_plain_for_good():
    """Another thread learns of the secret, and shows something, when this one has looked at the text."""

    def hook(frame: types.FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is without_secrets.__code__ and frame.f_locals["text"] == secret:
            remember_secrets([secret])
            preview({"b": 1}, PREVIEW)

    for secret, values in (("violet-hippo-45", {"a": "violet-hippo-45"}), ("violet_hippo_46", {"violet_hippo_46": 1})):
        sys.setprofile(hook)
        try:
            preview(values, PREVIEW)
        finally:
            sys.setprofile(None)
        assert secret not in dumped(preview(values, PREVIEW))


@pytest.mark.usefixtures("fresh_secrets")
def test_a_text_that_was_plain_is_hidden_beside_what_says_that_it_is_a_secret():
    assert preview({"a": "violet-hippo-47"}, PREVIEW) == {"a": "violet-hippo-47"}
    beside = {"b": pydantic.SecretStr("violet-hippo-47"), "a": "violet-hippo-47"}
    assert preview({"c": beside}, PREVIEW) == {"c": {"b": SECRET, "a": SECRET}}
    assert preview({"a": "violet-hippo-48"}, PREVIEW) == {"a": "violet-hippo-48"}
    remember_secrets(["violet-hippo-48"])
    assert shown("violet-hippo-48") == SECRET


def test_a_secret_that_is_known_is_found_as_addresses_json_and_python_write_it():
    secret = 'pl@nted/wörd "of" two\'s \\ back\nand\u2028more'
    remember_secrets([secret])
    texts = [
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret),
        repr(secret),
        repr([secret]),
    ]
    for text in (*texts, json.dumps({"of": secret}, ensure_ascii=False), str(KeyError(secret))):
        found = without_secrets(f"it is {text}, it said")
        assert SECRET in found
        assert "nted" not in found
        assert "more" not in found


@pytest.mark.parametrize(
    "value",
    [
        [("accept", "*/*"), ("authorization", "planted")],
        [[b"x-api-key", b"planted"]],
        ({"name": "DB_PASSWORD", "value": "planted"},),
        {"key": "api_key", "value": "planted", "type": "string"},
        [{"Key": "DbPassword", "Value": "planted"}],
        ["mysql", "--password", "planted", "-u", "ada"],
        ["--api-key=planted", "--verbose"],
        ["PATH=/bin", "DB_PASSWORD=planted"],
    ],
)
def test_what_stands_beside_the_name_of_a_secret_is_hidden(value):
    found = dumped(shown(value))
    assert "planted" not in found
    assert SECRET in found


@pytest.mark.parametrize(
    "value",
    [
        {"required": ["token", "name"], "pair": ("password", "email")},
        [["token", 12], ["name", "ada"], ["a", "token", "b"], ["token"]],
        [{"name": "user", "value": "ada"}, {"name": "password", "value": 3}, {"name": 5, "value": "x"}],
        ["--verbose", "ada", "--token", "--user", "a=b", "a == token=", "max_tokens=5"],
    ],
)
def test_what_only_has_such_a_name_is_shown(value):
    assert SECRET not in dumped(shown(value))


def test_notes_of_any_kind_do_no_harm():
    error = ValueError("x")
    error.__notes__ = ["a", Hiding("b"), 3, "sk-abcdefgh"]
    assert failure_of(error).notes == ("a", "b", SECRET)
    error.__notes__ = iter(["a"])  # type: ignore[assignment]
    assert failure_of(error).notes == ()


def test_what_a_model_used_is_shown_beside_what_is_secret():
    """Gemini's own fields have ``Token`` in their names."""
    used = {"promptTokenCount": 3, "token_count": 512, "total_token_count": 515, "password_length": 8}
    assert preview({"usage": used, **used}, PREVIEW) == {"usage": used, **used}
    assert preview({"token": 512, "next_page_token": "a"}, PREVIEW) == {"token": SECRET, "next_page_token": SECRET}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('{"user": "ada", "password": "hunter two"}', '{"user": "ada", "password": "[secret]"}'),
        ('{"a": [{"api_key": "abc"}], "n": 1}', '{"a": [{"api_key": "[secret]"}], "n": 1}'),
        ('{"password": "hunter two is lo', '{"password": [secret]'),  # as the model left off
        ('{"city":  "Huế", "tokens": 3}', '{"city":  "Huế", "tokens": 3}'),
    ],
)
def test_what_a_model_calls_a_tool_with_has_no_secret_under_its_name(given, kept):
    call = {"id": "call_1", "type": "function", "function": {"name": "login", "arguments": given}}
    shown_call = preview({"tool_calls": [call]}, PREVIEW)["tool_calls"][0]
    assert shown_call == {**call, "function": {"name": "login", "arguments": kept}}
