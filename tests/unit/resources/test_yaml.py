"""YAML is read safely: what plain words mean, where each value stands, and what is refused, at its exact place."""

from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hush.core import ResourceError
from hush.core._resources._written import MOST_LEVELS, MOST_VALUES, Written
from hush.core._resources._yaml import parse


def plain(one: Written) -> object:
    """The values alone."""
    if isinstance(one.value, dict):
        return {key: plain(inner) for key, inner in one.value.items()}
    if isinstance(one.value, list):
        return [plain(inner) for inner in one.value]
    return one.value


def read(text: str) -> object:
    return plain(parse(text, "r.yaml"))


def refused(text: str) -> list[tuple[int, int, str]]:
    """The line, column and message of each problem."""
    with pytest.raises(ResourceError) as raised:
        parse(text, "r.yaml")
    assert raised.value.__context__ is None  # what PyYAML raises quotes the text
    assert {one.file for one in raised.value.problems} == {"r.yaml"}
    for one in raised.value.problems:
        assert str(one) in str(raised.value)
    return [(one.line, one.column, one.message) for one in raised.value.problems]


# --- what is meant ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[
            (word, word)
            for word in ("on", "off", "yes", "No", "y", "1:30", "2024-01-01", "1_000", "007", "0x", "1e", ".")
        ],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE")],
        *[("60", 60), ("-3", -3), ("+4", 4), ("0", 0), ("0x1F", 31), ("0o17", 15)],
        *[("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-2", -0.015), ("1.10", 1.1)],
        *[("'60'", "60"), ('"true"', "true"), ("''", ""), ("'~'", "~"), ("${VAR:60}", "${VAR:60}")],
        *[("9" * 100, int("9" * 100)), ("9" * 5000, math.inf)],
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(word, value):
    found = read(f"key: {word}")["key"]
    assert (type(found), found) == (type(value), value)


def test_special_floats_are_floats():
    assert read("[.inf, -.INF, +.inf]") == [math.inf, -math.inf, math.inf]
    assert math.isnan(read("[.nan]")[0])


@pytest.mark.parametrize("key", ["limit:crm", "llm:llama3:8b", "on", "1:30", "60", "true", "~", "'quoted: key'"])
def test_a_key_is_its_text(key):
    assert list(read(f"{key}: 1")) == [key.strip("'")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- \n...\n"])
def test_a_document_without_anything_is_none(text):
    assert read(text) is None


NAMES = st.text(st.sampled_from("abcxyz:${}-_ é#'\""), min_size=1, max_size=8)
# PyYAML writes YAML 1.1, in which 0E0 is text; in 1.2 it is a number.
TEXTS = st.text(max_size=12).filter(lambda text: not re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", text))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=10
)


@given(TREES, st.booleans())
def test_what_pyyaml_writes_is_read_as_it_was(tree, flow):
    """It quotes what one of its own words could be; ours are fewer."""
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow)
    if "\x85" not in text and "\u2028" not in text:  # which it writes where it then cannot read them
        assert read(text) == tree


def test_every_value_knows_its_place():
    root = parse("# all\nlimit:a:\n  x: 1\n  list: [one,\n    two]\nlimit:b: {y: '2'}\n", "r.yaml").value
    places = {
        "limit:a": root["limit:a"].key,
        "x": root["limit:a"].value["x"].place,
        "two": root["limit:a"].value["list"].value[1].place,
        "y key": root["limit:b"].value["y"].key,
        "y": root["limit:b"].value["y"].place,
    }
    assert {name: (place.line, place.column) for name, place in places.items()} == {
        "limit:a": (2, 1),
        "x": (3, 6),
        "two": (5, 5),
        "y key": (6, 11),
        "y": (6, 14),
    }


# --- aliases and merges -----------------------------------------------------------------------------------------------
def test_an_alias_is_the_value_it_names():
    assert read("a: &one {x: [1]}\nb: *one\nc: [*one, *one]") == {
        "a": {"x": [1]},
        "b": {"x": [1]},
        "c": [{"x": [1]}, {"x": [1]}],
    }


def test_an_anchor_may_be_set_again():
    assert read("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]


def test_merged_keys_give_way_to_those_written_and_to_earlier_ones():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd:\n  <<: *b\n  w: 4\n"
    assert read(text) == {
        "a": {"x": 1, "y": 1},
        "b": {"y": 2, "z": 2},
        "c": {"z": 3, "x": 1, "y": 1},
        "d": {"w": 4, "y": 2, "z": 2},
    }


def test_merge_signs_in_quotes_are_a_key():
    assert read("'<<': 1") == {"<<": 1}


NO_YAML = "this is no YAML: "
CANNOT = "cannot start any token"


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\n\nb: 2\na: 3\n", [(4, 1, "the key 'a' stands here a second time, first in line 1")]),
        ("a:\n  x: 1\n  'x': 2\n", [(3, 3, "the key 'x' stands here a second time, first in line 2")]),
        (
            "a: {x: 1, x: 2}\nb: 1\nb: 2\nb: 3\n",
            [
                (1, 11, "the key 'x' stands here a second time, first in line 1"),
                (3, 1, "the key 'b' stands here a second time, first in line 2"),
                (4, 1, "the key 'b' stands here a second time, first in line 2"),
            ],
        ),
        ("a: {<<: {}, <<: {}}", [(1, 13, "the key '<<' stands here a second time, first in line 1")]),
        ("a: {<<: 5}", [(1, 5, "<< merges a mapping, or a list of mappings")]),
        ("a: {<<: [{}, 1]}", [(1, 5, "<< merges a mapping, or a list of mappings")]),
        ("a:\n  b: !!python/object/apply:os.system ['true']\n", [(2, 6, "a tag is not taken")]),
        ("a: !!str 5", [(1, 4, "a tag is not taken")]),
        ("a: ! 5", [(1, 4, "a tag is not taken")]),
        ("!x {a: !y [!z b]}", [(1, column, "a tag is not taken") for column in (1, 8, 12)]),
        ("a: *b\nb: &b 1", [(1, 4, "an alias names nothing above it")]),
        ("a: &a [1, *a]", [(1, 11, "an alias lies in what it names")]),
        ("? [a]\n: 1\n", [(1, 3, "a key is a word or text, not a list, a mapping or an alias")]),
        ("&a x: 1\n*a : 2\n", [(2, 1, "a key is a word or text, not a list, a mapping or an alias")]),
        ("a: 1\n---\nb: 2\n", [(2, 1, "there is a second document")]),
        ("limit: crm: {}", [(1, 11, "this is no YAML: mapping values are not allowed here")]),
        ("a:\n\tb: 1", [(2, 1, f"{NO_YAML}while scanning for the next token, found character '\\t' that {CANNOT}")]),
        ("a: 1\nb: 2\0", [(2, 5, "the character U+0000 is not allowed in YAML")]),
        ("a: 1\r\nb: 2\r\rc: \x07", [(4, 4, "the character U+0007 is not allowed in YAML")]),
        (
            "a: !x 1\nb: [",
            [
                (1, 4, "a tag is not taken"),
                (2, 5, f"{NO_YAML}while parsing a flow node, expected the node content, but found '<stream end>'"),
            ],
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text, problems):
    assert refused(text) == problems


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("limit: crm: {}", "A key like limit:crm has no blank after its first colon"),
        ("a:\n\tb: 1", "YAML is indented with blanks"),
        ("a: !b", "text that begins with ! is quoted"),
        ("a: *b", "Text that begins with * is quoted"),
    ],
)
def test_what_is_often_meant_is_said(text, mend):
    with pytest.raises(ResourceError, match=mend.replace("*", r"\*")):
        parse(text, "r.yaml")


# --- bombs ------------------------------------------------------------------------------------------------------------
def laughs(levels: int, fold: int = 9) -> str:
    """The billion laughs: each level is `fold` times the one before."""
    folded = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * fold)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *folded])


def test_aliases_that_multiply_are_refused_before_anything_is_made_of_them():
    assert refused(laughs(100)) == [(5, 40, f"there are more than {MOST_VALUES} values, counting what aliases repeat")]


def test_merges_that_multiply_are_refused():
    lines = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}, <<: *a{n - 1}}}" for n in range(1, 60)]
    [(_, _, message)] = refused("\n".join(lines))
    assert message.startswith(f"there are more than {MOST_VALUES} values")


def test_as_many_values_as_are_allowed_are_read():
    """The list and its key and the mapping count too."""
    assert len(read(f"a: [{'1,' * (MOST_VALUES - 3)}]")["a"]) == MOST_VALUES - 3
    assert len(refused(f"a: [{'1,' * (MOST_VALUES - 2)}]")) == 1


@pytest.mark.parametrize(
    ("before", "after"), [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[? ", ", b]"), ("{? ", "}")]
)
@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 10_000])
def test_deep_nesting_is_refused_without_recursion(before, after, levels):
    text = before * levels + "x" + after * levels
    assert refused(text)[-1][2] == f"values lie in each other deeper than {MOST_LEVELS} levels"


def test_nesting_that_is_allowed_is_read():
    found = read("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    for _ in range(MOST_LEVELS - 1):
        [found] = found
    assert found == []


def raised_by(text: str) -> ResourceError | None:
    try:
        parse(text, "r.yaml")
    except ResourceError as error:
        return error
    return None


@pytest.mark.parametrize(
    "bit", ["a:\n", "---\n", "&a ", "!", "%A b\n", "'", '"\\\n', "[?", "{a,", "*a ", "#", "- a: [\n", "<<: "]
)
def test_whatever_is_repeated_ends_in_a_bounded_number_of_problems(bit):
    error = raised_by(bit * 10_000)
    assert error is None or (len(error.problems) <= 21 and len(str(error)) < 5000)


@given(st.text(st.sampled_from("ab:-?[]{},#&*!|>'\"%@` \n\t<$\\\0é"), max_size=40))
def test_no_text_raises_anything_else(text):
    error = raised_by(text)
    assert error is None or error.problems
