"""Templates: names only, literal JSON as it stands, values put in once, and nothing of a value read but its text."""

from __future__ import annotations

import datetime
import enum
import json
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.providers._files import File
from hush.providers._template import Template, escape, template_of
from hush.providers._text import as_text
from hush.providers.errors import PromptError


def fill(text: str, /, **values: object) -> str:
    template = Template(text)
    assert template.slips == ()
    return template.fill(values)


# --- what is a name -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "names", "filled"),
    [
        ("{text}", ["text"], "<text>"),
        ("{a}{b} {a}", ["a", "b"], "<a><b> <a>"),
        ("{văn_bản} {文本} {a1}", ["văn_bản", "文本", "a1"], "<văn_bản> <文本> <a1>"),
        ("{नाम}", ["नाम"], "<नाम>"),  # letters with marks, which \w alone does not know
        ("{class} {self} {_}", ["class", "self", "_"], "<class> <self> <_>"),
        ("{{text}}", [], "{text}"),
        ("{{{text}}}", ["text"], "{<text>}"),
        ("{{{{text}}}}", [], "{{text}}"),
        ("{{ and }}", [], "{ and }"),
        ("a }} b", [], "a } b"),
        ("a } b", [], "a } b"),
        ("{", [], "{"),
        ("}", [], "}"),
        ("{text", [], "{text"),
        ("text}", [], "text}"),
        ("", [], ""),
        ('{"a": 1}', [], '{"a": 1}'),
        ('{"a": {"b": {"c": []}}}', [], '{"a": {"b": {"c": []}}}'),
        ('{"a":{"b":{"c":1}}}', [], '{"a":{"b":{"c":1}}}'),
        ('{"a": {}, "b": [{}]}', [], '{"a": {}, "b": [{}]}'),
        ('{"key": {value}}', ["value"], '{"key": <value>}'),
        ('{"key": "{value}"}', ["value"], '{"key": "<value>"}'),
        ('{"a":{"b":{value}}}', ["value"], '{"a":{"b":<value>}}'),
        ('{{"key": {value}}}', ["value"], '{"key": <value>}'),
        ('{{"a": {{"b": {value}}}}}', ["value"], '{"a": {"b": <value>}}'),
        ('{{"a": {"b": 1}}}', [], '{"a": {"b": 1}}'),
        ('{{"a": {{}}}}', [], '{"a": {}}'),
        ("{key: value}", [], "{key: value}"),
        ("{ text }", [], "{ text }"),
        ("{ }", [], "{ }"),
        ("{\n}", [], "{\n}"),
        ("{'a', 'b'}", [], "{'a', 'b'}"),
        ("{a, b}", [], "{a, b}"),
        ("{1, 2}", [], "{1, 2}"),
        ('def f(x) { return {"a": x.y[0]}; }', [], 'def f(x) { return {"a": x.y[0]}; }'),
        ("if (a) { b } else { {c} }", ["c"], "if (a) { b } else { <c> }"),
        ('{console.log("hi")}', [], '{console.log("hi")}'),
        ("{a-b} {1a} {a+b}", [], "{a-b} {1a} {a+b}"),
    ],
)
def test_a_name_is_an_identifier_alone_in_braces_and_all_else_is_text(text, names, filled):
    template = Template(text)
    assert template.slips == ()
    assert list(template.names) == names
    assert template.fill({name: f"<{name}>" for name in names}) == filled


@pytest.mark.parametrize(
    ("group", "mend"),
    [
        ("{x.y}", 'Write {y}, with inputs={"y": PARENT["x"]["y"]}.'),
        ("{x.y.z}", 'Write {z}, with inputs={"z": PARENT["x"]["y"]["z"]}.'),
        ("{x[0]}", 'Write {x_0}, with inputs={"x_0": PARENT["x"][0]}.'),
        ("{x[key]}", 'Write {x_key}, with inputs={"x_key": PARENT["x"]["key"]}.'),
        ('{x["key"]}', 'Write {x_key}, with inputs={"x_key": PARENT["x"]["key"]}.'),
        ("{x['key']}", 'Write {x_key}, with inputs={"x_key": PARENT["x"]["key"]}.'),
        ("{x!r}", 'Write {x}, with inputs={"x": PARENT["x"].apply(repr)}.'),
        ("{x:>10}", 'Write {x}, with inputs={"x": PARENT["x"].apply(format, ">10")}.'),
        ("{x:,.2f}", 'Write {x}, with inputs={"x": PARENT["x"].apply(format, ",.2f")}.'),
        ("{tên.họ}", 'Write {họ}, with inputs={"họ": PARENT["tên"]["họ"]}.'),
        ("{x:}", "Write {x}"),
        ("{x=}", "Write {x}"),
        ("{x!r:>10}", "Write {x}"),
        ("{x.}", "Write {x}"),
        ("{x.upper()}", "Write {x}"),
        ("{x[0].y}", "Write {x}"),
        ("{x.__class__}", "Write {x}"),
        ("{x.__init__.__globals__}", "Write {x}"),
        ("{x.__class__.__mro__[1].__subclasses__()}", "Write {x}"),
        ("{x:>99999999}", "Write {x}"),
        ("{x:%Y-%m-%d}", "Write {x}"),
        ("{}", "Give it a name: {text}"),
        ("{0}", "Give it a name: {text}"),
        ("{12}", "Give it a name: {text}"),
        ("{0.x}", "Give it a name: {text}"),
        ("{0[1]}", "Give it a name: {text}"),
        ("{:>10}", "Give it a name: {text}"),
        ("{!r}", "Give it a name: {text}"),
    ],
)
def test_what_looks_like_a_field_is_refused_with_what_to_write(group, mend):
    template = Template(f"one {{a}}\ntwo {group} three")
    [slip] = template.slips
    assert (slip.line, slip.group) == (2, group)
    assert slip.mend.startswith(mend)
    assert slip.mend.endswith(f"For the text itself, double the braces: {{{group}}}.")
    assert fill(f"two {{{group}}} three") == f"two {group} three"  # and that mend works


@pytest.mark.parametrize("text", ["{x:{width}}", "{x:{width}.{precision}}", "{x[{y}]}"])
def test_a_field_with_a_name_in_it_is_refused(text):
    assert Template(text).slips


def test_all_that_is_wrong_is_said_at_once():
    assert [slip.line for slip in Template("{a.b}\n{ok}\n{c!r} {}").slips] == [1, 3, 3]


# --- values -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        "{secret}",
        "{{secret}}",
        "{text}",
        "{",
        "}",
        "{}",
        "{x.__class__}",
        "{text!r:>9999}",
        "%s $secret \\g<0> ${secret}",
    ],
)
def test_a_value_is_put_in_as_it_is_and_never_looked_into(value):
    assert fill("<{text}|{secret}>", text=value, secret="hidden") == f"<{value}|hidden>"
    assert fill('{"a": {text}}', text=value) == f'{{"a": {value}}}'


@given(st.text(), st.text(), st.text())
def test_escaped_text_comes_out_as_it_was_wherever_it_stands(before, value, after):
    assert fill(escape(before)) == before
    assert fill(escape(before) + "{x}" + escape(after), x=value) == before + value + after


_BRACED = st.text(alphabet="{}ab.:!0 \"'[]\n", max_size=30)


@given(_BRACED)
def test_every_text_is_read_and_either_refused_or_filled_in(text):
    template = Template(text)
    if template.slips:
        return
    filled = template.fill(dict.fromkeys(template.names, ""))
    assert len(filled) <= len(text)
    if not template.names and "{{" not in text and "}}" not in text:
        assert filled == text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\ é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="ab é"), inner, min_size=1),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([None, 1]), st.booleans())
def test_json_in_a_template_stands_as_it_is(value, indent, tight):
    text = json.dumps({"a": value}, indent=indent, ensure_ascii=False, separators=(",", ":") if tight else None)
    assert fill(text) == text


@given(st.lists(st.text()), st.integers())
def test_values_are_put_in_at_their_places_and_nowhere_else(pieces, seed):
    names = [f"n{at}" for at in range(len(pieces))]
    text = "".join(f"{escape(piece)}{{{name}}}" for piece, name in zip(pieces, names, strict=True))
    values = {name: f"{{{names[(at + seed) % len(names)]}}}" for at, name in enumerate(names)}
    assert fill(text, **values) == "".join(piece + values[name] for piece, name in zip(pieces, names, strict=True))


class Hostile:
    """An object that lets nobody read an attribute of it."""

    def __getattribute__(self, name):
        raise AssertionError(f"{name} was read")

    def __str__(self):
        return "text of its own"

    def __format__(self, spec):
        raise AssertionError("formatted")


def test_of_a_value_nothing_is_read_but_its_text():
    assert fill("{x} {y}", x=Hostile(), y=[Hostile()]) == 'text of its own ["text of its own"]'


class Colour(str, enum.Enum):  # noqa: UP042  # whose str() is not its text
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        (3, "3"),
        (2.5, "2.5"),
        (True, "True"),
        (Decimal("1.10"), "1.10"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (Colour.RED, "red"),
        (Level.LOW, "1"),
        ([1, "é", None, True], '[1, "é", null, true]'),
        ((1, 2), "[1, 2]"),
        ({"a": {"b": [1.5]}}, '{"a": {"b": [1.5]}}'),
        ([datetime.date(2024, 5, 1)], '["2024-05-01"]'),
        ([{"b", "a"}], '[["a", "b"]]'),
        ([], "[]"),
        (ValueError("bad"), "bad"),
    ],
)
def test_how_values_become_text(value, text):
    assert fill("{x}", x=value) == text


class Plain:
    pass


def endless():
    made: list[object] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the value of 'x' is None. Where it may be missing"),
        (b"x", "the value of 'x' is of type bytes, which is no text. Decode it"),
        (bytearray(b"x"), "of type bytearray"),
        ([b"x"], "of type bytes"),
        (Plain(), "the value of 'x', of type Plain, has no text of its own"),
        (fill, "of type function, has no text of its own"),
        ((one for one in "a"), "of type generator, has no text of its own"),
        (endless(), "cannot be written as JSON: Circular reference"),
        ({(1, 2): 3}, "cannot be written as JSON"),
        (File("a.png"), "the value of 'x' is a File, which is no text"),
    ],
)
def test_what_is_no_text_is_refused(value, message):
    with pytest.raises(PromptError) as raised:
        fill("{x}", x=value)
    assert message in str(raised.value)


def test_what_is_no_input_is_called_by_its_place():
    with pytest.raises(PromptError, match=r"^the content of message 1 is None\."):
        as_text(None, "", "the content of message 1")


# --- the record ---------------------------------------------------------------------------------------------------
def test_a_text_is_read_once():
    assert template_of("a {b}") is template_of("a {b}")


def test_a_template_can_go_to_another_process():
    assert pickle.loads(pickle.dumps(Template("a {b} {{"))).fill({"b": 1}) == "a 1 {"


def test_reading_takes_time_in_proportion_to_the_text():
    """A scan for each brace to the end of the text would take minutes."""
    assert len(Template("{" * 200_001).fill({})) == 100_001
    assert len(Template("{ " * 100_000).fill({})) == 200_000
    assert len(Template('{"a": ' * 50_000 + "1" + "}" * 50_000).fill({})) == 350_001
